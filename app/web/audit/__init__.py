"""The audit trail: a list with filters, and the same list as a file."""

from app.web.audit.views import bp

__all__ = ["bp"]
