"""Connections: how an application's system is reached, their credentials, and Test connection."""

from app.web.connections.blueprint import bp

from app.web.connections import credentials, parking, probing, templates, views  # isort: skip  their routes need the blueprint

__all__ = ["bp", "credentials", "parking", "probing", "templates", "views"]
