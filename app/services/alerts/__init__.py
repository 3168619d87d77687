"""Alerts: what is told to whom, once, and what became of it."""
