"""The engine at work: real worker and sweeper processes, fed by real grants, one transaction each."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from app import clock
from app.domain.states import RunStatus
from app.extensions import db
from app.models import Application, Attempt, Run, User, Worker
from app.models.run import is_moving
from app.permissions import ALL_PERMISSIONS, Actor
from app.services import grants
from app.services.transaction import transaction
from bench.console import Case, Console
from bench.processes import Target, processor_seconds, start_python, stop, wait_until
from bench.target import FIRST, SECOND

# Grants are made by so many threads of one process; more make no more grants a second.
GRANTERS = 2
ACTOR = Actor("user", "Bench", ALL_PERMISSIONS, source="bench")


@dataclass(slots=True)
class Effects:
    """What went wrong at the target or in the records: all of it must be 0."""

    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.out_of_order)

    def add(self, other: Effects) -> None:
        self.lost += other.lost
        self.doubled += other.doubled
        self.out_of_order += other.out_of_order


@dataclass(frozen=True, slots=True)
class Burst:
    """One burst: runs a second, processor milliseconds a run, and a grant of the process that grants."""

    rate: float
    worker_ms: float
    grant_ms: float
    granting_rate: float
    effects: Effects = field(default_factory=Effects)


@dataclass(frozen=True, slots=True)
class Engine:
    """A worker and a sweeper at work on a console."""

    console: Console
    worker: subprocess.Popen[bytes]
    sweeper: subprocess.Popen[bytes]

    def processor_seconds(self) -> float:
        return processor_seconds(self.worker.pid) + processor_seconds(self.sweeper.pid)


@contextlib.contextmanager
def engine(console: Console, in_flight: int) -> Iterator[Engine]:
    """Worker and sweeper processes, the worker ready for `in_flight` runs at a time."""
    environ = {**console.environ, "WORKER_CONCURRENCY": str(in_flight)}
    log = console.folder / "engine.log"
    worker = start_python("app.workers", environ, log)
    sweeper = start_python("app.workers.sweeper", environ, log)
    try:
        wait_until(lambda: _has_begun(console, worker), 30, "the worker's start")
        yield Engine(console, worker, sweeper)
    finally:
        stop(sweeper)
        stop(worker)


def _has_begun(console: Console, worker: subprocess.Popen[bytes]) -> bool:
    if worker.poll() is not None:
        raise RuntimeError((console.folder / "engine.log").read_text(errors="replace")[-2000:])
    with console.app.app_context():
        found = db.session.scalar(select(Worker.name).where(Worker.name.like(f"%-{worker.pid}-%")))
        db.session.remove()
    return found is not None


def grant_one(case: Case, user_id: int) -> None:
    """A grant as an entrance makes it: one transaction, then the queue."""
    with transaction() as session:
        grants.grant(
            session,
            ACTOR,
            application=session.get_one(Application, case.application_id),
            user=session.get_one(User, user_id),
            now=clock.now(),
        )


def grant_all(console: Console, case: Case, granters: int = GRANTERS) -> None:
    """Grant to everybody of the case, by several threads; raises what any of them raised."""
    problems: list[BaseException] = []

    def work(ids: Sequence[int]) -> None:
        try:
            with console.app.app_context():
                for user_id in ids:
                    grant_one(case, user_id)
        except BaseException as problem:  # noqa: BLE001  raised again below
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(case.user_ids[one::granters],)) for one in range(granters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def burst(at_work: Engine, target: Target, case: Case, latency: float) -> Burst:
    """Grant to everybody as fast as it goes; the time counts until the last run is recorded as done."""
    console, count = at_work.console, len(case.user_ids)
    target.reset(latency)
    engine_before, own_before = at_work.processor_seconds(), time.process_time()
    started = time.monotonic()
    grant_all(console, case)
    granted = time.monotonic()
    own_spent = time.process_time() - own_before
    wait_for_runs(console, case, seconds=60 + count * 0.2)
    seconds = time.monotonic() - started
    engine_spent = at_work.processor_seconds() - engine_before
    return Burst(
        rate=count / seconds,
        worker_ms=engine_spent / count * 1000,
        grant_ms=own_spent / count * 1000,
        granting_rate=count / (granted - started),
        effects=effects(console, case, target.report()),
    )


def drain(at_work: Engine, target: Target, case: Case) -> Burst:
    """What the engine does by itself: the worker is held still while everybody is granted, and then let go."""
    console, count = at_work.console, len(case.user_ids)
    target.reset()
    at_work.worker.send_signal(signal.SIGSTOP)
    at_work.sweeper.send_signal(signal.SIGSTOP)
    try:
        began, own_before = time.monotonic(), time.process_time()
        grant_all(console, case)
        granting_rate = count / (time.monotonic() - began)
        own_spent = time.process_time() - own_before
    finally:
        engine_before = at_work.processor_seconds()
        started = time.monotonic()
        at_work.sweeper.send_signal(signal.SIGCONT)
        at_work.worker.send_signal(signal.SIGCONT)
    wait_for_runs(console, case, seconds=60 + count * 0.2)
    seconds = time.monotonic() - started
    return Burst(
        rate=count / seconds,
        worker_ms=(at_work.processor_seconds() - engine_before) / count * 1000,
        grant_ms=own_spent / count * 1000,
        granting_rate=granting_rate,
        effects=effects(console, case, target.report()),
    )


def wait_for_runs(console: Console, case: Case, seconds: float) -> None:
    """Wait until no run of the case moves any more; looking must not cost what it looks at."""
    moving = select(Run.id).where(is_moving(Run.status), Run.application_id == case.application_id).limit(1)

    def none_moves() -> bool:
        with db.engine.connect() as connection:
            return connection.execute(moving).first() is None

    with console.app.app_context():
        wait_until(none_moves, seconds, "the burst", pause=0.02)


def effects(console: Console, case: Case, told: dict[str, Any]) -> Effects:
    """Hold the target's memory against the records: each run's two calls once, in order, and written down."""
    with console.app.app_context():
        runs = db.session.execute(
            select(Run.id, Run.uid, Run.status).where(Run.application_id == case.application_id)
        ).all()
        ended = db.session.execute(
            select(Attempt.run_id, func.count())
            .join(Run, Run.id == Attempt.run_id)
            .where(Run.application_id == case.application_id, Attempt.status == "succeeded")
            .group_by(Attempt.run_id)
        )
        attempts = {run_id: number for run_id, number in ended}
        db.session.remove()
    counts: dict[str, int] = told["counts"]
    found = Effects(out_of_order=len(told["out_of_order"]))
    found.lost = max(0, len(case.user_ids) - len(runs))
    for run_id, uid, status in runs:
        calls = [counts.get(f"{uid}-{step}", 0) for step in (FIRST, SECOND)]
        if not all(calls) or status != RunStatus.SUCCEEDED or attempts.get(run_id) != 2:
            found.lost += 1
        found.doubled += sum(max(0, one - 1) for one in calls)
    strangers = set(counts) - {f"{uid}-{step}" for _, uid, _ in runs for step in (FIRST, SECOND)}
    found.doubled += len(strangers)
    return found
