"""Connections: how an application's system is reached, their credentials, and Test connection."""

from app.web.connections import acts, credentials, system_templates, views
from app.web.connections.blueprint import bp

__all__ = ["acts", "bp", "credentials", "system_templates", "views"]
