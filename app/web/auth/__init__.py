"""Signing in and out, one-time links, and one's own account."""

from app.web.auth.views import bp

__all__ = ["bp"]
