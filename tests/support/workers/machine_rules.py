"""What must hold of the rows and of the outside at every moment, written anew: none of it asks our own rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from tests.support.workers.outside_world import Outside
from tests.support.workers.small_world import PEOPLE, PLACES, SmallWorld

_MOVING = """
SELECT r.id, r.user_id, r.application_id, r.status, r.in_flight, r.worker, r.lease_until, r.due_at, r.holds_lane,
       r.waits_for_id, b.state AS breaker, b.next_at
FROM runs r LEFT JOIN connection_breakers b ON b.connection_id = r.waits_for_id
WHERE r.status IN ('queued', 'running') ORDER BY r.id
"""
_NEVER = datetime.max.replace(tzinfo=UTC)
_STALE = """
SELECT r.id, r.status, r.trigger, r.version_id FROM runs r JOIN grants g ON g.id = r.grant_id
WHERE r.status IN ('queued', 'running', 'waiting_manual', 'failed') AND NOT r.in_flight AND NOT r.compensating
  AND (CASE WHEN r.trigger = 'access_granted' THEN g.revoked_at IS NOT NULL
            ELSE EXISTS (SELECT 1 FROM grants o WHERE o.user_id = r.user_id
                         AND o.application_id = r.application_id AND o.revoked_at IS NULL) END)
"""
_CALLED = """
SELECT r.id, r.user_id, r.application_id, r.trigger,
       (SELECT count(*) FROM attempts a WHERE a.run_id = r.id AND a.step_key = :step AND a.step_type != 'human')
           AS tries,
       (SELECT count(*) FROM attempts a WHERE a.run_id = r.id AND a.step_key = :step AND a.status = 'started')
           AS started,
       (SELECT count(*) FROM grants g WHERE g.user_id = r.user_id AND g.application_id = r.application_id
            AND g.revoked_at IS NULL) AS held
FROM runs r WHERE r.uid = :uid
"""


def adrift(connection: Connection) -> Iterator[str]:
    """Runs that nothing will ever move, and lanes in which nothing goes on."""
    lanes: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for run in connection.execute(text(_MOVING)):
        lanes[run.user_id, run.application_id].append(run)
        if run.in_flight:
            if run.worker is None or run.lease_until is None:
                yield f"run {run.id} is in flight without worker or lease"
        elif run.worker is not None:
            yield f"run {run.id} is held by {run.worker} and not in flight"
        elif run.waits_for_id is not None:
            if run.breaker in ("parked", "held", "trial", "draining") and run.next_at is None:
                yield f"run {run.id} waits for a connection that nobody looks at again"
        elif run.due_at is None:
            yield f"run {run.id} is {run.status} and never due"
    for lane in lanes.values():
        holders = [one for one in lane if one.holds_lane]
        if len(holders) > 1:
            yield f"runs {[one.id for one in holders]} hold one lane"


def unsaid(connection: Connection, doubled: Collection[str], confirmed: Collection[int]) -> Iterator[str]:
    """Calls that may not be repeated, took effect twice, and neither was it flagged nor did a person want it."""
    for key in doubled:
        uid, _, step = key.rpartition("-")
        if step != "create":
            continue  # the others may be repeated at any time
        row = connection.execute(
            text(
                "SELECT r.id, (SELECT count(*) FROM attempts a WHERE a.run_id = r.id AND a.step_key = :step"
                " AND a.outcome_unknown) AS flagged FROM runs r WHERE r.uid = :uid"
            ),
            {"uid": uid, "step": step},
        ).one()
        if not row.flagged and row.id not in confirmed:
            yield f"run {row.id}, step {step}: took effect twice and nobody was told"


def stale_and_open(connection: Connection, *, spared: Collection[int]) -> Iterator[str]:
    """Runs whose intent no longer holds and that keep their place, with no call in the air."""
    for run in connection.execute(text(_STALE)):
        if run.version_id not in spared:
            yield f"run {run.id} is stale and still {run.status}"


def speaks_against(
    connection: Connection, outside: Outside, world: SmallWorld, uid: str, step: str
) -> str | None:
    """Why this call should not have left, or None."""
    run = connection.execute(text(_CALLED), {"uid": uid, "step": step}).one_or_none()
    if run is None:
        return f"a call with the key {uid}-{step} belongs to no run"
    what = f"run {run.id}, step {step}"
    if outside.calls(uid, step) > run.tries:
        return f"{what}: {outside.calls(uid, step)} calls left for {run.tries} tries"
    if not run.started:
        return f"{what}: a call left for a try that is over"
    opens = run.trigger == "access_granted"
    if opens == (run.held > 0):
        return None
    place = PLACES[world.places.index(run.application_id)]
    person = PEOPLE[world.people.index(run.user_id)]
    about = [
        one for one in outside.arrivals if (one.place, one.person) == (place, person) and one.took_effect
    ]
    newer = {one.uid for one in about if one.opens != opens}
    for other in newer:
        if connection.scalar(text("SELECT id FROM runs WHERE uid = :uid"), {"uid": other}) > run.id:
            return f"{what}: a stale call left after the newer event had taken effect"
    return None


def unlike_the_intent(connection: Connection, outside: Outside, world: SmallWorld) -> Iterator[str]:
    """Accounts that are not as the newest event wants them, although its run says that it succeeded."""
    for person, user_id in zip(PEOPLE, world.people, strict=True):
        for place, application_id in zip(PLACES, world.places, strict=True):
            pair = {"user": user_id, "application": application_id}
            held = connection.scalar(
                text(
                    "SELECT count(*) FROM grants WHERE user_id = :user AND application_id = :application"
                    " AND revoked_at IS NULL"
                ),
                pair,
            )
            newest = connection.execute(
                text(
                    "SELECT r.id, r.status, (SELECT count(*) FROM manual_tasks t WHERE t.run_id = r.id AND"
                    " t.origin = 'escalated_failure') AS asked FROM runs r JOIN grants g ON g.id = r.grant_id"
                    " WHERE r.user_id = :user AND r.application_id = :application AND r.trigger = :trigger"
                    " AND (:closing OR g.revoked_at IS NULL) ORDER BY r.id DESC LIMIT 1"
                ),
                pair | {"trigger": "access_granted" if held else "access_revoked", "closing": not held},
            ).one_or_none()
            if newest is None or newest.status != "succeeded" or newest.asked:
                continue
            is_open = (place, person) in outside.open
            if is_open != bool(held):
                yield f"{person} at {place} is {'open' if is_open else 'closed'}, unlike run {newest.id}"


def without_words(connection: Connection) -> Iterator[str]:
    query = "SELECT id FROM runs WHERE status = 'failed' AND failure_class IS NULL AND failure_detail IS NULL"
    yield from (f"run {one} failed and does not say why" for one in connection.execute(text(query)).scalars())


def held_by(connection: Connection, worker: str) -> dict[int, int]:
    """The runs that are the worker's, with their fences."""
    rows = connection.execute(text("SELECT id, fence FROM runs WHERE worker = :worker"), {"worker": worker})
    return {one.id: one.fence for one in rows}


def is_held_back(connection: Connection) -> bool:
    return connection.scalar(text("SELECT paused_at FROM engine_state")) is not None


def next_due(connection: Connection) -> datetime | None:
    """When the next run that is to go on may do so; None when there is none."""
    lanes: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for run in connection.execute(text(_MOVING)):
        lanes[run.user_id, run.application_id].append(run)
    first = [next((one for one in lane if one.holds_lane), lane[0]) for lane in lanes.values()]
    times = [one.lease_until if one.in_flight else one.next_at or one.due_at for one in first]
    return min((_time(one) for one in times if one is not None), default=_NEVER) if first else None


def still_moving(connection: Connection) -> list[dict[str, Any]]:
    return [dict(one._mapping) for one in connection.execute(text(_MOVING))]


def _time(value: Any) -> datetime:
    at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
