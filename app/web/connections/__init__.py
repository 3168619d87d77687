"""Connections: how an application's system is reached, their credentials, and Test connection."""

from app.web.connections.blueprint import bp

from app.web.connections import credentials, probing, templates, views  # isort: skip  their routes need the blueprint

__all__ = ["bp", "credentials", "probing", "templates", "views"]
