"""Groups: named sets of people, to whom tasks go."""

from app.web.groups.views import bp

__all__ = ["bp"]
