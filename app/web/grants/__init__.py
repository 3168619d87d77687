"""Grants: giving access, one grant's page, changing and revoking it."""

from app.web.grants import granting, views
from app.web.grants.blueprint import bp

__all__ = ["bp", "granting", "views"]
