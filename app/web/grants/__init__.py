"""Grants: giving access, one grant's page, changing and revoking it."""

from app.web.grants import new_grant, views
from app.web.grants.blueprint import bp

__all__ = ["bp", "new_grant", "views"]
