"""Signing in and out, one-time links, single sign-on, one-time codes, and one's own account."""

from app.web.auth import codes, sso, views
from app.web.auth.blueprint import bp

__all__ = ["bp", "codes", "sso", "views"]
