"""What kinds of system a connection leads to: one file a type, and `table` the table of them.

A type is a subclass of `connection_type.ConnectionType`: its words, what it needs of a credential, how a request is
sent over it, and how it is tried out.
"""
