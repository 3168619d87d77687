"""How the console itself is, as the API tells it."""

from __future__ import annotations

from app.schemas.answers import Output, OutTime


class WorkerOut(Output):
    name: str
    seen_at: OutTime
    in_flight: int


class PausedOut(Output):
    """Runs are held back until somebody resumes them."""

    since: OutTime
    by: str
    because: str


class HealthOut(Output):
    """How the console itself is. `database` and `redis` are `ok` or `unreachable`."""

    database: str
    redis: str
    workers: list[WorkerOut]
    queued: int
    oldest_queued_seconds: float | None
    sweeper_seen_at: OutTime | None
    paused: PausedOut | None
