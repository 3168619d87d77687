"""Runs: the list across applications, and one run with its live timeline, Retry and Cancel."""

from app.web.runs.views import bp

__all__ = ["bp"]
