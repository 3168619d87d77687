"""How the console's own parts are, and what to do about one that is not well."""

from app.web.system.views import bp

from app.web.system import alerts, pausing  # isort: skip  its routes need the blueprint

__all__ = ["alerts", "bp", "pausing"]
