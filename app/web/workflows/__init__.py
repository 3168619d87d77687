"""Workflows: the tab of an application, the editor, and versions."""

from app.web.workflows.blueprint import bp

from app.web.workflows import dryruns, editor, files, previews, starting, trying, versions, views  # isort: skip  their routes need the blueprint

__all__ = ["bp", "dryruns", "editor", "files", "previews", "starting", "trying", "versions", "views"]
