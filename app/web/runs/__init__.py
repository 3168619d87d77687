"""Runs: the list across applications, and one run with its live timeline, its ways back and Cancel."""

from app.web.runs import export, recovery
from app.web.runs.views import bp

__all__ = ["bp", "export", "recovery"]
