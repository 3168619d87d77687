"""The job that notifies workers. Our own worker reads only its id; any other RQ worker passes it on."""

from __future__ import annotations


def advance_run(run_id: int) -> None:
    """Do nothing: the run is in the database, and `app.workers` or the next sweep takes it from there."""
