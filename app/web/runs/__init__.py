"""Runs: the list across applications, and one run with its live timeline, its ways back and Cancel."""

from app.web.runs import export, recovery, views
from app.web.runs.blueprint import bp

__all__ = ["bp", "export", "recovery", "views"]
