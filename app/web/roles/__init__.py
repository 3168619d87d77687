"""Roles: what each may do, and changing that."""

from app.web.roles.views import bp

__all__ = ["bp"]
