"""The runs list as CSV."""

from __future__ import annotations

from datetime import datetime

from flask import request
from flask.typing import ResponseReturnValue

from app.clock import now
from app.errors import Invalid
from app.extensions import db
from app.guard import requires
from app.queries.runs import RunRow, every_run, run_label
from app.web.csv_file import download, line
from app.web.runs.blueprint import bp
from app.web.runs.listing import read_listing

COLUMNS = (
    "Run",
    "Person",
    "Email",
    "Application",
    "Workflow",
    "Version",
    "Trigger",
    "Status",
    "Failed at",
    "With",
    "Started because",
    "Created (UTC)",
    "Finished (UTC)",
    "Seconds",
)


@bp.get("/runs/export")
@requires("workflow:read")
def export() -> ResponseReturnValue:
    """The runs that the filters leave as a file, sent as they are read."""
    listing = read_listing(request.args)
    if listing.filters is None:
        raise Invalid("These filters cannot be used.", list(listing.form.errors))
    lines = every_run(db.session(), listing.filters, _csv_line)
    return download(COLUMNS, lines, f"runs-{now():%Y-%m-%d}.csv")


def _csv_line(row: RunRow) -> str:
    run = row.run
    took = (run.finished_at - run.started_at).total_seconds() if run.finished_at and run.started_at else None
    cells = (
        str(run.id),
        run.user.name,
        run.user.email,
        run.application.name,
        run.workflow.name,
        str(run.version_number),
        row.trigger.label,
        run_label(run, now=now(), of=row.of),
        row.failed_step or "",
        row.failure,
        run.cause,
        _utc(run.created_at),
        _utc(run.finished_at),
        f"{took:.1f}" if took is not None else "",
    )
    return line(cells)


def _utc(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S") if at else ""
