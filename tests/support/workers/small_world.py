"""Two people, two places and what happens at each: small enough that everything meets everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask
from sqlalchemy.orm import Session

from app.services.transaction import transaction
from tests.support.factories import (
    http_step,
    human_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.workers.outside_world import BASE

PEOPLE = ("ada", "ben")
PLACES = ("quick", "asked")
_AGAIN = {"attempts": 3, "delay_seconds": 5, "backoff": "fixed", "wait_statuses": [429]}


@dataclass(frozen=True, slots=True)
class SmallWorld:
    """Their numbers; `connections` are those of the first place, then two of the second, of which one has a pace.

    `versions` are those that open access, by place.
    """

    people: list[int]
    places: list[int]
    connections: list[int]
    versions: list[int]

    @classmethod
    def make(cls, app: Flask) -> SmallWorld:
        with app.app_context(), transaction() as session:
            people = [make_user(session, username=name).id for name in PEOPLE]
            quick, asked = (make_application(session, name=name) for name in PLACES)
            first = _connection(session, quick)
            paced, plain = _connection(session, asked, requests_per_second=0.5), _connection(session, asked)
            opens = [
                make_workflow(
                    session,
                    quick,
                    # Not idempotent, and a person is asked when an answer is lost.
                    http_step(
                        "create",
                        first,
                        path="/quick/{{ grantee.username }}",
                        capture={"id": "$.id"},
                        retry=_AGAIN | {"lost_answer": "ask"},
                    ),
                    _put("join", first, "/quick/{{ grantee.username }}/group"),
                ),
                make_workflow(
                    session,
                    asked,
                    human_step("team"),
                    http_step("create", paced, path="/asked/{{ grantee.username }}"),
                    _put("join", plain, "/asked/{{ grantee.username }}/group"),
                ),
            ]
            for place, one, at in ((quick, "quick", first), (asked, "asked", plain)):
                away = _put("remove", at, f"/{one}/{{{{ grantee.username }}}}", method="DELETE", body=None)
                make_workflow(
                    session, place, away | {"success_statuses": ["200-299", 404]}, trigger="access_revoked"
                )
            versions = [int(one.version_id or 0) for one in opens]
            return cls(people, [quick.id, asked.id], [first, paced, plain], versions)


def _connection(session: Session, application: Any, **config: Any) -> int:
    settings = {"base_url": BASE, "auth": "none", "timeout_seconds": 5, "park_after_failures": 3} | config
    return make_connection(session, application, config=settings).id


def _put(key: str, connection_id: int, path: str, **changed: Any) -> dict[str, Any]:
    return http_step(key, connection_id, path=path, retry=_AGAIN, **{"method": "PUT"} | changed)
