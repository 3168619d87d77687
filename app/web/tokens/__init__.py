"""API tokens: scripts' way in."""

from app.web.tokens.views import bp

__all__ = ["bp"]
