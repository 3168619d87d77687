"""What people do to the whole machine, by the services that pages and API call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import InternalError, OperationalError
from sqlalchemy.orm import Session

from app import clock
from app.errors import AppError, Invalid
from app.models import Application, Connection, Grant, ManualTask, Run, User
from app.permissions import ALL_PERMISSIONS, Actor
from app.schemas.connections import ParkIn
from app.schemas.people import UserPatch
from app.services import grants, parking, people, recovery, run_pause, runs, tasks
from app.services.transaction import transaction
from tests.support.workers.faulty_database import FaultyDatabase
from tests.support.workers.small_world import SmallWorld

ACTOR = Actor("user", "Olga On-call", ALL_PERMISSIONS, source="test")


class People:
    """`told` are the grants that somebody was told of, `confirmed` the runs that were to repeat a call knowingly."""

    app: Flask
    faults: FaultyDatabase
    world: SmallWorld
    told: list[int]
    confirmed: set[int]

    def _person(self, work: Callable[[Session], Any], refusals: type[AppError] = AppError) -> Any:
        """An act of a person's; refused as may be, or met by a fault, it changes nothing."""
        with self.app.app_context(), self.faults.spoken_to_by("web"):
            try:
                with transaction() as session:
                    result = work(session)
            except (refusals, OperationalError, InternalError):
                return None
            return result

    def grant(self, person: int, place: int, seconds: float = 0) -> None:
        """Grant access, for `seconds` if not for ever."""

        def work(session: Session) -> int:
            made = grants.grant(
                session,
                ACTOR,
                application=session.get_one(Application, self.world.places[place]),
                user=session.get_one(User, self.world.people[person]),
                now=clock.now(),
                expires_at=clock.now() + timedelta(seconds=seconds) if seconds else None,
            )
            return made.id

        made = self._person(work, Invalid)  # nothing but what is asked for stands in the way of a grant
        self.told += [made] if made else []

    def revoke(self, person: int, place: int) -> None:
        pair = (Grant.user_id == self.world.people[person], Grant.application_id == self.world.places[place])
        newest = select(Grant).where(*pair, Grant.is_active).order_by(Grant.id.desc()).limit(1)

        def work(session: Session) -> None:
            found = session.scalars(newest).one_or_none()
            if found is not None:
                grants.revoke(session, ACTOR, found, now=clock.now())

        self._person(work, Invalid)

    def set_active(self, person: int, active: bool) -> None:
        def work(session: Session) -> None:
            user = session.get_one(User, self.world.people[person])
            people.change_user(session, ACTOR, user, UserPatch(active=active), now=clock.now())

        self._person(work)

    def retry(self, which: int, confirms: bool = True) -> None:
        def work(session: Session) -> int | None:
            run = _one(session, select(Run).where(Run.status == "failed").order_by(Run.id), which)
            if run is None:
                return None
            recovery.retry(session, ACTOR, run, confirm_unknown=confirms)
            return int(run.id) if confirms else None

        retried = self._person(work)
        self.confirmed |= {retried} if retried else set()

    def cancel(self, which: int) -> None:
        going = select(Run).where(Run.status.in_(("queued", "running", "waiting_manual"))).order_by(Run.id)

        def work(session: Session) -> None:
            run = _one(session, going, which)
            if run is not None:
                runs.cancel(session, ACTOR, run, reason="No longer wanted.")

        self._person(work)

    def act(self, which: int, how: str) -> None:
        """Act on an open task: submit, skip, fail or again."""
        pending = select(ManualTask).where(ManualTask.status == "pending").order_by(ManualTask.id)

        def work(session: Session) -> int | None:
            task = _one(session, pending, which)
            if task is None:
                return None
            match how:
                case "submit":
                    tasks.submit(session, ACTOR, task, {"id": "typed", "team": "Red"})
                case "skip":
                    tasks.skip(session, ACTOR, task, "Not needed.")
                case "fail":
                    tasks.fail(session, ACTOR, task, "It cannot be done.")
                case "again":
                    tasks.try_again(session, ACTOR, task)
                    return int(task.run_id)
            return None

        sent_again = self._person(work)
        self.confirmed |= {sent_again} if sent_again else set()

    def park(self, which: int, seconds: float = 3600) -> None:
        until, chosen = clock.now() + timedelta(seconds=seconds), self._connection(which)
        data = ParkIn(until=until, reason="Maintenance.")
        self._person(lambda s: parking.park(s, ACTOR, s.get_one(Connection, chosen), data, now=clock.now()))

    def unpark(self, which: int) -> None:
        chosen = self._connection(which)
        self._person(lambda s: parking.unpark(s, ACTOR, s.get_one(Connection, chosen), now=clock.now()))

    def _connection(self, which: int) -> int:
        return self.world.connections[which % len(self.world.connections)]

    def hold(self) -> None:
        self._person(lambda s: run_pause.pause(s, ACTOR, "We look at something.", now=clock.now()))

    def go_on(self) -> None:
        self._person(lambda s: run_pause.resume(s, ACTOR, now=clock.now()))


def _one(session: Session, statement: Any, which: int) -> Any:
    found = session.scalars(statement).all()
    return found[which % len(found)] if found else None
