"""How the console's own parts are, and what to do about one that is not well."""

from app.web.system import alert_messages, views
from app.web.system.blueprint import bp

__all__ = ["alert_messages", "bp", "views"]
