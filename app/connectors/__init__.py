"""Talking to outside systems: plain data in, plain data out; no model, no session, no run."""
