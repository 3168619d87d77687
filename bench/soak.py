"""`make soak`: many runs while everything fails that can, on each database; then rest, then the count.

Prints a short report and exits with 1 when a promise was broken.  `SOAK_RUNS`, `SOAK_SECONDS` and `SOAK_SEED`
change the size and repeat a draw, `SOAK_KINDS` names the databases: PostgreSQL is a server of its own, which may be
crashed, where its programs are installed.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app import clock
from app.database import db_now
from app.errors import AppError
from app.extensions import db
from app.models import (
    Application,
    Attempt,
    Connection,
    ConnectionBreaker,
    Grant,
    ManualTask,
    Run,
    RunEvent,
    User,
    Worker,
)
from app.models.run import is_moving
from app.permissions import ALL_PERMISSIONS, Actor
from app.queries.liveness import adrift
from app.schemas.connections import ParkIn
from app.schemas.people import UserPatch
from app.services import grants, parking, people, recovery, runs, tasks
from app.services.transaction import transaction
from bench.console import POSTGRESQL, SQLITE, console
from bench.processes import wait_until
from bench.soak_faults import Nemesis, Stage, own_redis
from bench.soak_world import Outside, World, furnish, unlike_the_intent
from tests.support.target import running_target
from tests.support.workers.invariants import breaches
from tests.support.workers.postgres_cluster import cluster, programs
from tests.support.workers.postgres_proxy import postgres_proxy

ACTOR = Actor("user", "Soak", ALL_PERMISSIONS, source="soak")


@dataclass(frozen=True, slots=True)
class Plan:
    """How many grants in how many seconds, with how many processes, and how long the rest may take.

    `pause` is the longest time between two faults of each of the two who make trouble; they draw from `faults` by
    name, or from all that there are.
    """

    runs: int
    seconds: float
    seed: int
    workers: int = 3
    sweepers: int = 2
    pause: float = 4.0
    patience: float = 60.0
    faults: tuple[str, ...] = ()


@dataclass
class Report:
    """What was done and what came of it; `breaches` in words."""

    struck: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
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

    def __init__(self, plan: Plan, stage: Stage, outside: Outside) -> None:
        self._plan, self._stage, self._outside = plan, stage, outside
        self._draw = random.Random(plan.seed)
        self._granted, self._over = threading.Event(), threading.Event()
        self._problems: list[BaseException] = []
        self._confirmed: set[int] = set()
        self.report = Report()

    def run(self) -> Report:
        """Grant, act and make trouble; then let it rest and count."""
        begun = time.monotonic()
        with self._stage.place.app.app_context(), transaction() as session:
            world = furnish(session, self._outside.url, people=max(8, self._plan.runs // 4))
        self._stage.sweepers = [self._stage.sweeper() for _ in range(self._plan.sweepers)]
        self._stage.workers = [self._stage.worker() for _ in range(self._plan.workers)]
        person = threading.Thread(target=self._guarded, args=(lambda: self._people_act(world),))
        makers = [
            Nemesis(self._stage, self._plan.seed + number, self._over, self._plan.pause, self._plan.faults)
            for number in (1, 2)
        ]
        trouble = [
            threading.Thread(
                target=self._guarded, args=(lambda one=one: one.run(until=self._granted.is_set),)
            )
            for one in makers
        ]
        try:
            wait_until(self._a_worker_began, 60, "the first worker's start", pause=0.1)
            for thread in (person, *trouble):
                thread.start()
            self._guarded(lambda: self._grant_all(world))
            self._granted.set()
            for thread in trouble:
                thread.join()
            self._rest()
        finally:
            self._over.set()
            if person.is_alive():
                person.join()
            self.report.breaches += self._stage.dead()
            self._stage.close()
        if self._problems:
            raise self._problems[0]
        self.report.struck = sum((one.struck for one in makers), Counter())
        self.report.seconds = time.monotonic() - begun
        self._count(world)
        return self.report

    # What people do
    def _grant_all(self, world: World) -> None:
        """As many as planned, at the planned pace where the console takes them."""
        begun, pause = time.monotonic(), self._plan.seconds / self._plan.runs
        while len(self.report.told) < self._plan.runs and not self._over.is_set():
            made = self._act("granted", lambda s: self._grant(s, world))
            self.report.told += [made] if made else []
            if self.report.told and self._draw.random() < 0.2:
                chosen = self._draw.choice(self.report.told)
                self._act("revoked", lambda s, one=chosen: self._revoke(s, one))
            due = begun + len(self.report.told) * pause - time.monotonic()
            self._over.wait(max(0.0 if made else 0.2, due))

    def _grant(self, session: Session, world: World) -> int:
        lasts = timedelta(seconds=10) if self._draw.random() < 0.05 else None
        made = grants.grant(
            session,
            ACTOR,
            application=session.get_one(Application, self._draw.choice(world.applications)),
            user=session.get_one(User, self._draw.choice(world.people)),
            now=clock.now(),
            expires_at=clock.now() + lasts if lasts else None,
        )
        return made.id

    @staticmethod
    def _revoke(session: Session, grant_id: int) -> bool:
        grants.revoke(session, ACTOR, session.get_one(Grant, grant_id), now=clock.now())
        return True

    def _act(self, word: str, work: Callable[[Session], Any]) -> Any:
        """An act of a person on the console; refused, or met by a fault, nobody is told that it was done."""
        with self._stage.place.app.app_context():
            try:
                with transaction() as session:
                    result = work(session)
            except (AppError, DBAPIError):
                return None
            finally:
                db.session.remove()
        if result:
            self.report.acts[word] += 1
        return result

    def _people_act(self, world: World) -> None:
        """Those who answer what is asked, look after failures, offboard, and park what is being maintained."""
        draw = random.Random(self._plan.seed + 7)
        while not self._over.wait(0.2):
            self._act("answered a task", lambda s: self._answer_task(s, draw))
            if self._granted.is_set():
                self._act("unparked", _unpark_one)  # all is to come to rest
                self._act("reactivated", lambda s: _set_active(s, _first_inactive(s), True))
                continue
            word, work = draw.choice(
                [
                    ("retried", lambda s: self._retry(s, draw)),
                    ("cancelled", lambda s: _cancel(s, draw)),
                    ("deactivated", lambda s: _set_active(s, draw.choice(world.people), draw.random() < 0.5)),
                    ("parked", lambda s: _park(s, draw.choice(world.connections))),
                    ("unparked", _unpark_one),
                    ("nothing", lambda _s: None),
                ]
            )
            if draw.random() < 0.15:
                self._act(word, work)

    def _answer_task(self, session: Session, draw: random.Random) -> bool:
        pending = select(ManualTask).where(ManualTask.status == "pending").order_by(func.random()).limit(1)
        task = session.scalars(pending).one_or_none()
        if task is None:
            return False
        luck = draw.random()
        if task.origin == "escalated_failure" and luck < 0.3:
            self._confirmed.add(task.run_id)
            tasks.try_again(session, ACTOR, task)
        elif luck < 0.6:
            tasks.submit(session, ACTOR, task, {})
        else:
            tasks.skip(session, ACTOR, task, "Not needed.")
        return True

    def _retry(self, session: Session, draw: random.Random) -> bool:
        found = session.scalars(select(Run).where(Run.status == "failed").limit(50)).all()
        if not found:
            return False
        run = draw.choice(found)
        self._confirmed.add(run.id)
        recovery.retry(session, ACTOR, run, confirm_unknown=True)
        return True

    # The end
    def _rest(self) -> None:
        """Nothing is adrift once the patience is over; what is on its way is waited for as long as it gets less."""
        begun = since = time.monotonic()
        least, is_asked = self._unsettled(), False
        while left := self._unsettled():
            now = time.monotonic()
            if left < least:
                least, since = left, now
            if now - begun > self._plan.patience and not is_asked:
                is_asked = True
                self.report.breaches += self._adrift()
            if now - since > 2 * self._plan.patience:
                break
            self._over.wait(0.5)
        self.report.rest_seconds = time.monotonic() - begun

    def _adrift(self) -> list[str]:
        settings = self._stage.place.app.extensions["settings"]
        with self._look() as session:
            found = adrift(session.connection(), now=db_now(session.connection()), settings=settings)
            return [f"run {one.run_id} is adrift: {one.kind.words}" for one in found]

    def _unsettled(self) -> int:
        """How many runs move by themselves, and how many people have yet to answer."""
        with self._look() as session:
            moving = session.scalar(select(func.count()).where(is_moving(Run.status)))
            pending = session.scalar(select(func.count()).where(ManualTask.status == "pending"))
            return (moving or 0) + (pending or 0)

    def _count(self, world: World) -> None:
        report = self.report
        ledger = self._outside.ledger()
        with self._look() as session:
            report.breaches += breaches(session, ledger, report.told, confirmed=self._confirmed)
            report.breaches += unlike_the_intent(session, self._outside, world)
            report.statuses = Counter(session.scalars(select(Run.status)))
            recovered = select(func.count()).where(RunEvent.kind == "recovered")
            report.recovered = session.scalar(recovered) or 0
            report.flagged = session.scalar(select(func.count()).where(Attempt.outcome_unknown)) or 0
        report.calls = sum(ledger.calls.values())
        report.repeated = sum(1 for one in ledger.effects.values() if one > 1)

    # Helpers
    @contextlib.contextmanager
    def _look(self) -> Iterator[Session]:
        with self._stage.place.app.app_context():
            yield db.session()
            db.session.remove()

    def _a_worker_began(self) -> bool:
        with self._look() as session:
            return session.scalar(select(func.count()).select_from(Worker)) != 0

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as problem:  # noqa: BLE001  raised again by run()
            self._problems.append(problem)
            self._over.set()


def _cancel(session: Session, draw: random.Random) -> bool:
    found = session.scalars(select(Run).where(is_moving(Run.status)).limit(50)).all()
    if found:
        runs.cancel(session, ACTOR, draw.choice(found), reason="No longer wanted.")
    return bool(found)


def _set_active(session: Session, user_id: int | None, active: bool) -> bool:
    if user_id is None:
        return False
    user = session.get_one(User, user_id)
    people.change_user(session, ACTOR, user, UserPatch(active=active), now=clock.now())
    return True


def _first_inactive(session: Session) -> int | None:
    return session.scalars(select(User.id).where(~User.is_active).limit(1)).one_or_none()


def _park(session: Session, connection_id: int) -> bool:
    until = clock.now() + timedelta(seconds=6)
    data = ParkIn(until=until, reason="Maintenance.")
    parking.park(session, ACTOR, session.get_one(Connection, connection_id), data, now=clock.now())
    return True


def _unpark_one(session: Session) -> bool:
    parked = ("parked", "refused", "held")
    found = session.scalars(
        select(Connection)
        .join(ConnectionBreaker, ConnectionBreaker.connection_id == Connection.id)
        .where(ConnectionBreaker.state.in_(parked))
        .limit(1)
    ).one_or_none()
    if found is not None:
        parking.unpark(session, ACTOR, found, now=clock.now())
    return found is not None


def soak(plan: Plan, kind: str) -> Report:
    """Carry `plan` out on a new database of `kind` (bench.console), with servers of its own."""
    with contextlib.ExitStack() as stack:
        outside = Outside(stack.enter_context(running_target()), plan.seed)
        queue = stack.enter_context(own_redis())
        server = proxy = None
        if kind == POSTGRESQL:
            binaries = programs()
            assert binaries is not None
            server = stack.enter_context(cluster(binaries))
            proxy = stack.enter_context(postgres_proxy(server.url))
        port = int(outside.url.rpartition(":")[2])
        place = stack.enter_context(
            console(kind, redis_url=queue.url, target_port=port, server_url=server.url if server else None)
        )
        return Soak(plan, Stage(place, queue, server, proxy), outside).run()


def kinds() -> tuple[str, ...]:
    """The databases that a soak can be had on here."""
    named = os.environ.get("SOAK_KINDS")
    return tuple(named.split(",")) if named else (POSTGRESQL, SQLITE) if programs() else (SQLITE,)


def main() -> int:
    """`python -m bench.soak`: the long form. 0 when every promise was kept."""
    seed = int(os.environ.get("SOAK_SEED") or secrets.randbelow(1_000_000))
    plan = Plan(
        runs=int(os.environ.get("SOAK_RUNS", "2000")),
        seconds=float(os.environ.get("SOAK_SECONDS", "300")),
        seed=seed,
    )
    broken = 0
    for kind in kinds():
        print(f"{plan.runs} grants in {plan.seconds:g} s on {kind}; SOAK_SEED={seed}", flush=True)
        report = soak(plan, kind)
        broken += len(report.breaches)
        _tell(report)
    return 1 if broken else 0


def _tell(report: Report) -> None:
    for title, counted in (("faults", report.struck), ("people", report.acts), ("runs", report.statuses)):
        print(f"{title}: " + " · ".join(f"{name} {count}" for name, count in sorted(counted.items())))
    print(
        f"calls {report.calls} · repeated {report.repeated} · tries flagged unknown {report.flagged}"
        f" · taken back {report.recovered} times"
    )
    print(f"at rest {report.rest_seconds:.1f} s after the last fault; {report.seconds:.0f} s in all")
    for one in report.breaches[:50]:
        print(f"BROKEN: {one}")
    print(f"{len(report.breaches)} promises broken" if report.breaches else "every promise kept", flush=True)


if __name__ == "__main__":
    sys.exit(main())
