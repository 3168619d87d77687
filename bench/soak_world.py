"""What a soak is about: applications with workflows of every kind, and an outside that answers as systems do."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from app.models import Application, Grant, ManualTask, Run, User
from tests.support.factories import (
    http_step,
    human_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.target import Answer, Call, Target
from tests.support.workers.invariants import Ledger

_AGAIN = {"attempts": 6, "delay_seconds": 1, "backoff": "fixed", "wait_statuses": [429]}


@dataclass(frozen=True, slots=True)
class World:
    applications: list[int]
    connections: list[int]
    people: list[int]


def furnish(session: Session, url: str, people: int) -> World:
    """Records of every kind of run; what opens and what closes access have a connection each."""
    applications: list[int] = []
    connections: list[int] = []
    for name, steps in _workflows().items():
        application = make_application(session, name=name)
        config = {
            "base_url": f"{url}/{name}",
            "auth": "none",
            "timeout_seconds": 10,
            "health_check_path": "/up",
        }
        opens = make_connection(session, application, config=config)
        closes = make_connection(session, application, config=config)
        bound = [one | {"connection_id": str(opens.id)} if one["type"] == "http" else one for one in steps]
        make_workflow(session, application, *bound)
        away = _put("remove", "", method="DELETE", body=None, connection_id=str(closes.id))
        make_workflow(
            session, application, away | {"success_statuses": ["200-299", 404]}, trigger="access_revoked"
        )
        applications.append(application.id)
        connections += [opens.id, closes.id]
    return World(applications, connections, [make_user(session).id for _ in range(people)])


def _workflows() -> dict[str, list[dict[str, Any]]]:
    """Create and join, a chain of PUTs, ones whose answers are lost and resent or asked about, one for a person."""
    joined = {"value": "{{ steps.create.id }}"}
    capture = {"id": "$.id"}
    return {
        "plain": [
            http_step("create", path="/{{ grantee.username }}", capture=capture),
            _put("join", "/group", body=joined),
        ],
        "chain": [_put(key, f"/{key}") for key in ("one", "two", "three")],
        "resent": [
            http_step(
                "create",
                path="/{{ grantee.username }}",
                capture=capture,
                retry=_AGAIN | {"lost_answer": "resend"},
            )
        ],
        "asked": [
            http_step(
                "create",
                path="/{{ grantee.username }}",
                capture=capture,
                retry=_AGAIN | {"lost_answer": "ask"},
            )
        ],
        "manned": [human_step("person", fields=[]), _put("after", "/after")],
    }


def _put(key: str, path: str, **changed: Any) -> dict[str, Any]:
    return http_step(
        key, path=f"/{{{{ grantee.username }}}}{path}", retry=_AGAIN, **{"method": "PUT"} | changed
    )


class Outside:
    """How the target answers; `open` is who has an account where, by the order in which calls took effect."""

    def __init__(self, target: Target, seed: int) -> None:
        self.target, self.url = target, target.url
        self.open: set[tuple[str, str]] = set()
        self._luck = random.Random(seed + 3)
        target.answer = self._answer

    def ledger(self) -> Ledger:
        """Every call but the probes, which change nothing."""
        calls, effects = self.target.keys(), Counter(self.target.effects)
        del calls[""], effects[""]
        return Ledger(calls, effects)

    def _answer(self, call: Call) -> Answer:
        """Called one at a time: the target holds its lock."""
        if call.method == "GET":
            return Answer(200, {})
        answer = self._draw()
        _, place, person = call.path.split("/")[:3]
        if answer.status < 400 and not 300 <= answer.status < 400:
            (self.open.discard if call.method == "DELETE" else self.open.add)((place, person))
        return answer

    def _draw(self) -> Answer:
        luck, after = self._luck.random(), self._luck.uniform(0.02, 0.3)
        made = {"id": f"u-{len(self.target.calls)}"}
        if luck < 0.8:
            return Answer(201, made, after=after)
        if luck < 0.84:
            return Answer(201, made, after=after, lost=True)
        if luck < 0.86:
            return Answer(201, made, after=6.0)  # longer than a lease
        if luck < 0.91:
            return Answer(503, after=after)
        if luck < 0.94:
            return Answer(429, headers={"Retry-After": "2"}, after=after)
        if luck < 0.96:
            return Answer(422, after=after)
        if luck < 0.98:
            return Answer(302, headers={"Location": "https://a\x00b.example/"}, after=after)
        return Answer(201, {}, after=after)  # done, and the id is missing


def unlike_the_intent(session: Session, outside: Outside, world: World) -> Iterator[str]:
    """Accounts that are not as the newest event wants them, although its run says that it succeeded."""
    names = {one.id: one.username for one in session.execute(select(User.id, User.username))}
    places = {one.id: one.name for one in session.execute(select(Application.id, Application.name))}
    asked = exists().where(ManualTask.run_id == Run.id, ManualTask.origin == "escalated_failure")
    for user_id in world.people:
        for place in world.applications:
            pair = (Grant.user_id == user_id, Grant.application_id == place)
            held = session.scalar(select(func.count()).select_from(Grant).where(*pair, Grant.is_active))
            trigger = "access_granted" if held else "access_revoked"
            newest = session.execute(
                select(Run.id, Run.status, asked.label("asked"))
                .join(Grant, Grant.id == Run.grant_id)
                .where(*pair, Run.trigger == trigger, *([Grant.is_active] if held else []))
                .order_by(Run.id.desc())
                .limit(1)
            ).one_or_none()
            if newest is None or newest.status != "succeeded" or newest.asked:
                continue
            is_open = (places[place], str(names[user_id])) in outside.open
            if is_open != bool(held):
                yield f"{names[user_id]} is {'open' if is_open else 'closed'}, unlike run {newest.id}"
