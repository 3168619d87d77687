"""Bulk retries: the question before one is started, the list of them, and one with its live progress."""

from app.web.bulk_retries import question, views
from app.web.bulk_retries.blueprint import bp

__all__ = ["bp", "question", "views"]
