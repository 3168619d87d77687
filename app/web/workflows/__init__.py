"""Workflows: the tab of an application, the editor, and versions."""

from app.web.workflows import dry_runs, editor, files, review, start_runs, versions, views
from app.web.workflows.blueprint import bp

__all__ = ["bp", "dry_runs", "editor", "files", "review", "start_runs", "versions", "views"]
