"""What comes in and what goes out, as checked plain data: one set for pages and API."""
