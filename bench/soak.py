"""`make soak`: many runs while workers are killed and Redis is flushed, then rest, then the count.

Prints a short report and exits with 1 when a promise was broken.  `SOAK_RUNS`, `SOAK_SECONDS` and `SOAK_SEED`
change the size and repeat a draw; the database is PostgreSQL where BENCH_DATABASE_URL names a server.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import redis
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import clock
from app.errors import AppError
from app.extensions import db
from app.models import Application, Attempt, Grant, ManualTask, Run, RunEvent, User, Worker
from app.models.run import is_moving
from app.permissions import ALL_PERMISSIONS, Actor
from app.services import grants, tasks
from app.services.transaction import transaction
from bench.console import Console, console
from bench.processes import redis_server, start_python, stop, wait_until
from bench.setting import kinds_here
from tests.support.factories import (
    http_step,
    human_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.target import Answer, Call, Target, running_target
from tests.support.workers.invariants import Ledger, breaches

ACTOR = Actor("user", "Soak", ALL_PERMISSIONS, source="soak")
FAST = {"LEASE_SECONDS": "5", "SWEEP_SECONDS": "1"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How many grants in how many seconds, and what befalls the workers meanwhile."""

    runs: int
    seconds: float
    seed: int
    workers: int = 3
    kill_every: float = 2.0
    flushes: int = 2
    patience: float = 60.0


@dataclass
class Report:
    """What was done and what came of it; `breaches` in words."""

    kills: int = 0
    flushes: int = 0
    told: list[int] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    recovered: int = 0
    flagged: int = 0
    calls: int = 0
    repeated: int = 0
    rest_seconds: float = 0.0
    seconds: float = 0.0


class Soak:
    """One soak on one console."""

    def __init__(self, plan: Plan, place: Console, target: Target, redis_url: str) -> None:
        self._plan, self._place, self._target = plan, place, target
        self._redis = redis.Redis.from_url(redis_url)
        self._draw = random.Random(plan.seed)
        self._luck = random.Random(plan.seed + 1)
        self._workers: list[subprocess.Popen[bytes]] = []
        self._granted = threading.Event()
        self._over = threading.Event()
        self._problems: list[BaseException] = []
        self.report = Report()
        target.answer = self._answer

    def run(self) -> Report:
        """Grant, kill and flush; then let it rest and count."""
        begun = time.monotonic()
        applications, people = self._furnish()
        sweeper = self._start("app.workers.sweeper")
        self._workers = [self._start("app.workers") for _ in range(self._plan.workers)]
        person = threading.Thread(target=self._guarded, args=(self._act_on_tasks,))
        try:
            wait_until(self._a_worker_began, 60, "the first worker's start")
            person.start()
            nemesis = threading.Thread(target=self._guarded, args=(self._make_trouble,))
            nemesis.start()
            self._guarded(lambda: self._grant_all(applications, people))
            self._granted.set()
            nemesis.join()
            self._rest()
        finally:
            self._over.set()
            if person.is_alive():
                person.join()
            for process in (sweeper, *self._workers):
                process.kill()
                stop(process)
            self._redis.close()
        if self._problems:
            raise self._problems[0]
        self.report.seconds = time.monotonic() - begun
        self._count()
        return self.report

    # What goes on
    def _furnish(self) -> tuple[list[int], list[int]]:
        with self._place.app.app_context(), transaction() as session:
            applications = [self._application(session, *steps) for steps in _workflows()]
            people = [make_user(session).id for _ in range(max(8, self._plan.runs // 2))]
        return applications, people

    def _application(self, session: Session, *steps: dict[str, Any]) -> int:
        application = make_application(session)
        config = {"base_url": self._target.url, "auth": "none", "timeout_seconds": 10}
        connection = make_connection(session, application, config=config)
        bound = [
            one | {"connection_id": str(connection.id)} if one["type"] == "http" else one for one in steps
        ]
        make_workflow(session, application, *bound)
        away = http_step("remove", connection.id, method="DELETE", path="/gone", body=None)
        make_workflow(session, application, away, trigger="access_revoked")
        return application.id

    def _grant_all(self, applications: list[int], people: list[int]) -> None:
        begun, pause = time.monotonic(), self._plan.seconds / self._plan.runs
        with self._place.app.app_context():
            for number in range(self._plan.runs):
                with transaction() as session:
                    application = session.get_one(Application, self._draw.choice(applications))
                    user = session.get_one(User, self._draw.choice(people))
                    made = grants.grant(session, ACTOR, application=application, user=user, now=clock.now())
                    known = made.id
                self.report.told.append(known)
                if self._draw.random() < 0.15:
                    self._revoke(self._draw.choice(self.report.told))
                self._over.wait(max(0.0, begun + number * pause - time.monotonic()))

    @staticmethod
    def _revoke(grant_id: int) -> None:
        with contextlib.suppress(AppError), transaction() as session:
            grants.revoke(session, ACTOR, session.get_one(Grant, grant_id), now=clock.now())

    def _make_trouble(self) -> None:
        """Kill a worker every so often, and empty Redis at even distances, until everything is granted."""
        begun = time.monotonic()
        flush_every = self._plan.seconds / (self._plan.flushes + 1)
        while not (self._granted.is_set() or self._over.wait(self._plan.kill_every)):
            place = self._luck.randrange(len(self._workers))
            self._workers[place].kill()
            stop(self._workers[place])
            self._workers[place] = self._start("app.workers")
            self.report.kills += 1
            flushed = self.report.flushes
            if flushed < self._plan.flushes and time.monotonic() - begun >= flush_every * (flushed + 1):
                self._redis.flushall()
                self.report.flushes += 1

    def _act_on_tasks(self) -> None:
        """The person who answers whatever is asked, one way or another."""
        draw = random.Random(self._plan.seed + 2)
        while not self._over.is_set():
            with self._place.app.app_context():
                pending = select(ManualTask.id).where(ManualTask.status == "pending").limit(50)
                for task_id in db.session.scalars(pending).all():
                    with contextlib.suppress(AppError), transaction() as session:
                        _answer_task(session, session.get_one(ManualTask, task_id), draw.random())
            self._over.wait(0.2)

    def _answer(self, call: Call) -> Answer:
        after, luck = self._luck.uniform(0.02, 0.3), self._luck.random()
        if call.path == "/flaky" and luck < 0.3:
            return Answer(503, after=after)
        lost = call.path in ("/asked", "/flaky") and luck > 0.95
        return Answer(201, {"id": f"u-{len(self._target.calls)}"}, after=after, lost=lost)

    # The end
    def _rest(self) -> None:
        begun = time.monotonic()
        while self._unsettled() and time.monotonic() - begun < self._plan.patience:
            self._over.wait(0.2)
        self.report.rest_seconds = time.monotonic() - begun

    def _unsettled(self) -> bool:
        """Whether a run moves by itself, or somebody has yet to answer."""
        with self._look() as session:
            moving = session.scalar(select(func.count()).where(is_moving(Run.status)))
            return bool(moving or session.scalar(select(func.count()).where(ManualTask.status == "pending")))

    def _count(self) -> None:
        report = self.report
        ledger = Ledger(self._target.keys(), Counter(self._target.effects))
        with self._look() as session:
            report.breaches += breaches(session, ledger, report.told)
            report.statuses = Counter(session.scalars(select(Run.status)))
            recovered = select(func.count()).where(RunEvent.kind == "recovered")
            report.recovered = session.scalar(recovered) or 0
            report.flagged = session.scalar(select(func.count()).where(Attempt.outcome_unknown)) or 0
        report.calls = sum(ledger.calls.values())
        report.repeated = sum(1 for one in ledger.effects.values() if one > 1)

    # Helpers
    @contextlib.contextmanager
    def _look(self) -> Iterator[Session]:
        with self._place.app.app_context():
            yield db.session()
            db.session.remove()

    def _a_worker_began(self) -> bool:
        with self._look() as session:
            return session.scalar(select(func.count()).select_from(Worker)) != 0

    def _start(self, module: str) -> subprocess.Popen[bytes]:
        return start_python(module, {**self._place.environ, **FAST}, self._place.folder / "soak.log")

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as problem:  # noqa: BLE001  raised again by run()
            self._problems.append(problem)
            self._over.set()


def _workflows() -> list[list[dict[str, Any]]]:
    """Create and join, a chain of PUTs, one that is often refused, one that asks, one that waits for a person."""
    put = {"method": "PUT", "body": {}}
    again = {"attempts": 6, "delay_seconds": 1, "backoff": "fixed"}
    joined = {"value": "{{ steps.create.id }}"}
    return [
        [http_step("create", capture={"id": "$.id"}), http_step("join", path="/join", body=joined)],
        [http_step(key, path=f"/{key}", **put) for key in ("one", "two", "three")],
        [http_step("flaky", path="/flaky", retry=again | {"lost_answer": "resend"})],
        [http_step("asked", path="/asked", retry=again | {"lost_answer": "ask"})],
        [human_step("person", fields=[]), http_step("after", path="/after", **put)],
    ]


def _answer_task(session: Session, task: ManualTask, draw: float) -> None:
    if task.origin == "escalated_failure" and draw < 0.3:
        tasks.try_again(session, ACTOR, task)
    elif draw < 0.6:
        tasks.submit(session, ACTOR, task, {})
    else:
        tasks.skip(session, ACTOR, task, "Not needed.")


def soak(plan: Plan, kind: str) -> Report:
    """Carry `plan` out on a new database of `kind` (bench.console), with a Redis and a target of its own."""
    with running_target() as target, redis_server() as redis_url:
        port = int(target.url.rpartition(":")[2])
        with console(kind, redis_url=redis_url, target_port=port) as place:
            return Soak(plan, place, target, redis_url).run()


def main() -> int:
    """`python -m bench.soak`: the long form. 0 when every promise was kept."""
    plan = Plan(
        runs=int(os.environ.get("SOAK_RUNS", "2000")),
        seconds=float(os.environ.get("SOAK_SECONDS", "150")),
        seed=int(os.environ.get("SOAK_SEED") or secrets.randbelow(1_000_000)),
    )
    kind = kinds_here()[0]
    print(f"{plan.runs} grants in {plan.seconds:g} s on {kind}; SOAK_SEED={plan.seed}", flush=True)
    report = soak(plan, kind)
    print(
        f"kills {report.kills} · Redis flushed {report.flushes} times · taken back {report.recovered} times"
    )
    print(f"calls {report.calls} · repeated {report.repeated} · tries flagged unknown {report.flagged}")
    print("runs " + " · ".join(f"{name} {count}" for name, count in sorted(report.statuses.items())))
    print(f"at rest {report.rest_seconds:.1f} s after the last kill; {report.seconds:.0f} s in all")
    for one in report.breaches[:50]:
        print(f"BROKEN: {one}")
    print(f"{len(report.breaches)} promises broken" if report.breaches else "every promise kept")
    return 1 if report.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
