"""Tasks: the inbox, and one task with all that may be done about it."""

from app.web.tasks import acts, views
from app.web.tasks.blueprint import bp

__all__ = ["acts", "bp", "views"]
