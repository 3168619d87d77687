"""The page that everybody lands on."""

from app.web.home.views import bp

__all__ = ["bp"]
