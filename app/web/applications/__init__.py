"""Applications: the list, their details, and who has access to each."""

from app.web.applications import access, views
from app.web.applications.blueprint import bp

__all__ = ["access", "bp", "views"]
