"""What people are told, when a matter opens, grows and ends, and in which words."""
