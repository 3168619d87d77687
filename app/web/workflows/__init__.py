"""Workflows: the tab of an application, the editor, and versions."""

from app.web.workflows.blueprint import bp

from app.web.workflows import editor, versions, views  # isort: skip  their routes need the blueprint

__all__ = ["bp", "editor", "versions", "views"]
