"""Data mapping: templates and their tokens, filters, and the values of a run put in their places."""
