"""Runs: the list across applications, and one run with its live timeline, its ways back and Cancel."""

from app.web.runs import by_hand, export, recovery, views
from app.web.runs.blueprint import bp

__all__ = ["bp", "by_hand", "export", "recovery", "views"]
