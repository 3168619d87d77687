"""A scene for crashes: runs of every kind of step, what each has come to, and the outside's ledger."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.models import Application, Attempt, Grant, ManualTask, Run, RunEvent, User
from app.permissions import Actor
from app.services import grants
from app.services.transaction import transaction
from tests.support.factories import http_step, make_application, make_connection, make_user, make_workflow
from tests.support.target import Target
from tests.support.workers.invariants import Ledger, breaches
from tests.support.workers.processes import Crew, until

# How the first step of a run may be sent again; the second is a PUT that may be repeated at any time.
KINDS: dict[str, dict[str, Any]] = {
    "off": {},
    "ask": {"retry": {"attempts": 3, "delay_seconds": 1, "backoff": "fixed", "lost_answer": "ask"}},
    "resend": {"retry": {"attempts": 3, "delay_seconds": 1, "backoff": "fixed", "lost_answer": "resend"}},
    "idempotent": {"method": "PUT"},
}
MOVING = ("queued", "running")


@dataclass(frozen=True, slots=True)
class Came:
    """What a run has come to, as a person sees it: attempts as (step, number, status, class, unknown)."""

    status: str
    unknown: bool
    chip: str
    attempts: list[tuple[str, int, str, str | None, bool]]
    events: list[str]
    tasks: list[tuple[str, bool]]
    effects: int = field(default=0)


class Scene:
    """Grants on the app's database, with runs by the kind of their first step."""

    def __init__(self, app: Flask, admin: Actor, target: Target, crew: Crew) -> None:
        self.app, self.admin, self.target, self.crew = app, admin, target, crew
        # What connections are configured with beside their address.
        self.config: dict[str, Any] = {"timeout_seconds": 20}
        self.revoke_step: dict[str, Any] | None = None
        self.runs: dict[str, int] = {}
        self.told: list[int] = []

    def grant(self, *kinds: str, **create: Any) -> None:
        """One grant a kind, each on an application of its own; `create` changes the first step."""
        with self.app.app_context():
            for kind in kinds:
                with transaction() as session:
                    place, person = self._application(session, KINDS[kind] | create)
                with transaction() as session:
                    record = grants.grant(
                        session,
                        self.admin,
                        application=session.get_one(Application, place),
                        user=session.get_one(User, person),
                        now=clock.now(),
                    )
                    made, run = record.id, record.newest_run_id
                self.told.append(made)
                assert run is not None
                self.runs[kind] = run

    def _application(self, session: Session, create: dict[str, Any]) -> tuple[int, int]:
        application = make_application(session)
        config = {"base_url": self.target.url, "auth": "none", **self.config}
        connection = make_connection(session, application, config=config)
        make_workflow(
            session,
            application,
            http_step("create", connection.id, **create),
            http_step("join", connection.id, method="PUT", path="/join"),
        )
        if self.revoke_step is not None:
            make_workflow(
                session,
                application,
                http_step("remove", connection.id, **self.revoke_step),
                trigger="access_revoked",
            )
        return application.id, make_user(session).id

    def revoke(self, number: int = 0) -> int:
        """Revoke the `number`-th grant that was told; the run that it starts."""
        with self.app.app_context(), transaction() as session:
            grant = session.get_one(Grant, self.told[number])
            run = grants.revoke(session, self.admin, grant, now=clock.now()).newest_run_id
            assert run is not None
            return run

    def status(self, run_id: int) -> str:
        """The status of that run, as it is now."""
        return self.crew.look(lambda session: session.get_one(Run, run_id).status)

    def rest(self) -> None:
        """Wait until no run moves by itself, then hold everything against the invariants."""
        moving = select(Run.id).where(Run.status.in_(MOVING))
        until(lambda: not self.crew.look(lambda s: s.scalars(moving).all()), "every run comes to rest")
        assert self.crew.look(lambda s: breaches(s, self.ledger(), self.told)) == []

    def ledger(self) -> Ledger:
        with self.target.arrived:
            return Ledger(self.target.keys(), Counter(self.target.effects))

    def came(self, kind: str) -> Came:
        return self.crew.look(lambda session: self._came(session, self.runs[kind]))

    def _came(self, session: Session, run_id: int) -> Came:
        run = session.get_one(Run, run_id)
        columns = (
            Attempt.step_key,
            Attempt.number,
            Attempt.status,
            Attempt.failure_class,
            Attempt.outcome_unknown,
        )
        tries = select(*columns).where(Attempt.run_id == run_id).order_by(Attempt.id)
        tasks = select(ManualTask.status, ManualTask.outcome_unknown).where(ManualTask.run_id == run_id)
        kinds = select(RunEvent.kind).where(RunEvent.run_id == run_id).order_by(RunEvent.id)
        return Came(
            run.status,
            run.outcome_unknown,
            session.get_one(Grant, run.grant_id).state,
            [tuple(row) for row in session.execute(tries)],
            list(session.scalars(kinds)),
            [tuple(row) for row in session.execute(tasks)],
            self.target.effects[f"{run.uid}-create"],
        )


def kill_client(port: int, target: Target) -> bool:
    """Kill -9 the process whose connection to the target comes from this port; False when there is none."""
    inode = _inode_of(port, int(target.url.rpartition(":")[2]))
    for link in _sockets() if inode else ():
        try:
            found = str(link.readlink()) == f"socket:[{inode}]"
        except OSError:
            continue  # a process or a descriptor that is just going
        if found:
            os.kill(int(link.parts[2]), signal.SIGKILL)
            return True
    return False


def _sockets() -> Iterable[Path]:
    mine = str(os.getpid())
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and process.name != mine:
            try:
                yield from (process / "fd").iterdir()
            except OSError:
                continue


def _inode_of(local: int, remote: int) -> str | None:
    """The socket between these two ports of this host, seen from `local` (proc_net_tcp: hexadecimal ports)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports = [int(one.rpartition(":")[2], 16) for one in fields[1:3]]
        if ports == [local, remote]:
            return fields[9]
    return None
