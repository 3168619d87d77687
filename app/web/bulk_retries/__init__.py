"""Bulk retries: the question before one is started, the list of them, and one with its live progress."""

from app.web.bulk_retries import question
from app.web.bulk_retries.views import bp

__all__ = ["bp", "question"]
