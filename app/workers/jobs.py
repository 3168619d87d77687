"""The job that the bell rings. Our own worker reads only its id; any other RQ worker passes the bell on."""

from __future__ import annotations


def advance_run(run_id: int) -> None:
    """Do nothing: the run is in the database, and `app.workers` or the next sweep takes it from there."""
