"""People: the directory, and what each has access to."""

from app.web.people.views import bp

__all__ = ["bp"]
