"""For whoever watches the process: is it up, and can it work? Open to anybody."""

from __future__ import annotations

import structlog
from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db
from app.guard import public
from app.queries.checkup import is_migrated
from app.queue import RunQueue

bp = Blueprint("probes", __name__)

log = structlog.get_logger("probes")


@bp.get("/healthz")
@public
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@bp.get("/readyz")
@public
def readyz() -> tuple[Response, int]:
    """Database and Redis answer and the tables are those of this version; 503 says which does not hold."""
    parts = {"database": "ok", "migrations": "ok", "redis": "ok"}
    try:
        with db.engine.connect() as connection:
            if not is_migrated(connection):
                parts["migrations"] = "behind: run flask --app wsgi db upgrade"
    except SQLAlchemyError as error:
        log.warning("ready.database", error=type(error).__name__)
        parts["database"], parts["migrations"] = "unreachable", "unknown"
    run_queue: RunQueue = current_app.extensions["run_queue"]
    problem = run_queue.look().problem
    if problem is not None and not problem.answers:
        parts["redis"] = "unreachable"
    ready = all(word == "ok" for word in parts.values())
    return jsonify(status="ready" if ready else "not ready", **parts), 200 if ready else 503
