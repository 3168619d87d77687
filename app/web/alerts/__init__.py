"""The bell: what concerns the reader, and what they have read of it."""

from app.web.alerts.views import bp

__all__ = ["bp"]
