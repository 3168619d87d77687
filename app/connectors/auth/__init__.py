"""How an HTTP connection signs in: one file a method, and `methods` the table of them.

A method is a subclass of `method.AuthMethod`: its fields and words, what is wrong with a value, how it signs a
request or fetches what signs it.  The schema, the forms, the pages and the dry run read them there.
"""
