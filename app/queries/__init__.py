"""Reads for pages and API: plain functions that take a session and give records or views of them."""
