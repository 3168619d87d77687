"""How the console itself is."""

from __future__ import annotations

from flask import current_app

from app.api.blueprint import bp
from app.api.operation import Act, reads
from app.guard import requires
from app.queries.system import health
from app.queue import RunQueue
from app.schemas.answers import FailingDutyOut, HealthOut, PausedOut, WorkerOut

TAG = "System"


@bp.get("/health")
@requires("settings:manage")
@reads(TAG, HealthOut)
def show_health(act: Act) -> HealthOut:
    """Database, queue service, workers and sweeper, and how much waits."""
    run_queue: RunQueue = current_app.extensions["run_queue"]
    known = health(act.session, now=act.now, settings=current_app.extensions["settings"])
    held = known.paused
    problem = run_queue.look().problem
    return HealthOut(
        database="ok",
        redis="unreachable" if problem else "ok",
        redis_problem=f"Redis {problem.what}. {problem.todo}" if problem else None,
        workers=[
            WorkerOut(name=one.name, seen_at=one.seen_at, in_flight=one.in_flight) for one in known.workers
        ],
        queued=known.queued,
        oldest_queued_seconds=known.oldest_queued_seconds,
        sweeper_seen_at=known.sweeper_seen_at,
        sweeper_failing=[
            FailingDutyOut(duty=one.name, since=one.since, problem=one.problem) for one in known.failing
        ],
        runs_adrift=known.adrift,
        paused=PausedOut(since=held.since, by=held.by, because=held.because) if held else None,
    )
