"""What is told, when a matter opens, grows and ends, and how long delivery is tried. Pure: facts in, words out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class AlertKind(StrEnum):
    """What an alert is about; `label` is the word on the screen."""

    FAILURES = "failures"
    REVOKE_FAILED = "revoke_failed"
    CONNECTION_PARKED = "connection_parked"
    WORKER_LOST = "worker_lost"
    STANDSTILL = "standstill"
    TASK_ASSIGNED = "task_assigned"
    TASKS_WAITING = "tasks_waiting"
    TASK_DUE_SOON = "task_due_soon"
    TASK_OVERDUE = "task_overdue"
    GRANT_EXPIRES = "grant_expires"
    DIGEST = "digest"
    TEST = "test"

    @property
    def label(self) -> str:
        return _LABELS[self]

    @property
    def tells_end(self) -> bool:
        """Whether people are told when the matter is over; otherwise it just leaves their bell."""
        return self in (K.FAILURES, K.REVOKE_FAILED, K.CONNECTION_PARKED, K.STANDSTILL)

    @property
    def grace(self) -> timedelta:
        """How long it must have been over before it counts: a failed run that is retried may fail again."""
        return GRACE if self in (K.FAILURES, K.REVOKE_FAILED, K.TASKS_WAITING) else timedelta()


K = AlertKind
_LABELS = {
    K.FAILURES: "Failures",
    K.REVOKE_FAILED: "Access that should be gone",
    K.CONNECTION_PARKED: "Connection parked",
    K.WORKER_LOST: "Worker lost",
    K.STANDSTILL: "Standstill",
    K.TASK_ASSIGNED: "Task",
    K.TASKS_WAITING: "Tasks for anyone",
    K.TASK_DUE_SOON: "Task due soon",
    K.TASK_OVERDUE: "Task overdue",
    K.GRANT_EXPIRES: "Access expires",
    K.DIGEST: "Daily digest",
    K.TEST: "Test",
}
STATES = frozenset(
    {
        K.FAILURES,
        K.REVOKE_FAILED,
        K.CONNECTION_PARKED,
        K.WORKER_LOST,
        K.STANDSTILL,
        K.TASKS_WAITING,
        K.DIGEST,
    }
)
GRACE = timedelta(minutes=2)
TENFOLD = 10
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=3)
# The longest that one list in a message is.
LISTED = 10


class Channel(StrEnum):
    """How a message leaves the console; the bell is no channel, it is always there."""

    MAIL = "mail"
    WEBHOOK = "webhook"

    @property
    def label(self) -> str:
        return "Mail" if self is Channel.MAIL else "Webhook"


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is told: one person, the members of a group, or all who hold `permission`.

    Persons and members hold `permission` too, or they could not act on it. `barred_id` is left out.
    """

    permission: str
    user_id: int | None = None
    group_id: int | None = None
    barred_id: int | None = None


@dataclass(frozen=True, slots=True)
class AlertText:
    """A message in words. Names of people at most; no value, body, credential or address."""

    title: str
    lines: tuple[str, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Matter:
    """Something that holds now and that people should know of. `level` is how many it is about."""

    kind: AlertKind
    subject: str
    audience: Audience
    alert_text: AlertText
    level: int = 1
    about_id: int | None = None
    about_at: datetime | None = None
    # While this connection is parked, that is what is told, and not what failed because of it.
    connection_id: int | None = None
    # False: it is noted as known, and nobody is told.
    is_told: bool = True


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """A matter as it was written down."""

    id: int
    kind: AlertKind
    subject: str
    level: int
    gone_since: datetime | None


@dataclass(slots=True)
class AlertChanges:
    """What has changed since it was last written down; each id that of an open alert."""

    fresh: list[Matter] = field(default_factory=list)
    grown: list[tuple[OpenAlert, Matter]] = field(default_factory=list)
    leaving: list[int] = field(default_factory=list)
    back: list[int] = field(default_factory=list)
    over: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.fresh or self.grown or self.leaving or self.back or self.over)


def difference(known: Iterable[OpenAlert], matters: Sequence[Matter], *, now: datetime) -> AlertChanges:
    """Hold the open alerts of the kinds that are states against what holds now."""
    found = AlertChanges()
    by_key = {(one.kind, one.subject): one for one in matters}
    seen: set[tuple[AlertKind, str]] = set()
    for alert in known:
        key = (alert.kind, alert.subject)
        seen.add(key)
        matter = by_key.get(key)
        if matter is None:
            _leave(found, alert, now)
            continue
        if alert.gone_since is not None:
            found.back.append(alert.id)
        if matter.level >= TENFOLD * alert.level:
            found.grown.append((alert, matter))
    found.fresh = [one for key, one in by_key.items() if key not in seen]
    return found


def _leave(found: AlertChanges, alert: OpenAlert, now: datetime) -> None:
    if not alert.kind.grace or (alert.gone_since is not None and now - alert.gone_since >= alert.kind.grace):
        found.over.append(alert.id)
    elif alert.gone_since is None:
        found.leaving.append(alert.id)


def apart_from(found: Sequence[Matter], matters: Iterable[Matter]) -> list[Matter]:
    """What of `found` is news beside the parked connections among `matters`: one outage is told once."""
    parked = {one.about_id for one in matters if one.kind is AlertKind.CONNECTION_PARKED}
    return [one for one in found if one.connection_id is None or one.connection_id not in parked]


def wait_after(tries: int) -> timedelta:
    """How long a delivery rests after its `tries`-th try: ten seconds, doubling, up to an hour."""
    doublings: int = min(tries - 1, 20)
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)
