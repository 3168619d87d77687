"""The JSON API for other systems. It parses, authorises, opens the transaction and answers."""

from __future__ import annotations

from importlib import import_module

from flask import Flask

# Each adds its routes to the API's blueprint when it is imported. Add a line for yours.
MODULES: tuple[str, ...] = (
    "app.api.users",
    "app.api.groups",
    "app.api.applications",
    "app.api.connections",
    "app.api.workflows",
    "app.api.grants",
    "app.api.runs",
    "app.api.bulk_retries",
    "app.api.tasks",
    "app.api.audit",
    "app.api.health",
    "app.api.docs",
)


def register(app: Flask) -> None:
    """Add the API under /api/v1 to `app`, and /healthz, /readyz and /metrics beside it."""
    from app.api import blueprint, metrics, probes, problems
    from app.extensions import csrf

    for name in MODULES:
        import_module(name)
    # A session is no way into the API, so nothing can be forged with one.
    csrf.exempt(blueprint.bp)
    # Before there is a route there is no blueprint whose handlers could answer: no such address, or method.
    app.extensions["api_errors"] = problems.answer
    app.register_blueprint(blueprint.bp)
    app.register_blueprint(probes.bp)
    app.register_blueprint(metrics.bp)
