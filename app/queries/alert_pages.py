"""Alerts as people see them: their own at the bell, and for operators what was told and what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import and_, func, literal_column, select
from sqlalchemy.orm import Session

from app.domain.alerts.rules import Channel
from app.models import Alert, AlertDelivery, AlertMessage, AlertNotice, User
from app.queries.paging import page_by_number

# The number at the bell says no more than “20+”.
COUNTED = 20
# How far back System health looks for what does not arrive.
LOOKED_AT = 200
_LATELY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class BellMessage:
    """A message at somebody's bell. `over_at` is when the matter ended, `read_at` when it was read or ended."""

    message: AlertMessage
    read_at: datetime | None
    over_at: datetime | None

    @property
    def id(self) -> int:
        return self.message.id


@dataclass(slots=True)
class Told:
    """A message, how many people it was for, and what became of its deliveries on each channel."""

    message: AlertMessage
    people: int = 0
    channels: dict[Channel, Tally] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """Deliveries of one message on one channel. `problem` is why one of them is not delivered, "" where all are."""

    delivered: int = 0
    pending: int = 0
    failed: int = 0
    uncertain: bool = False
    problem: str = ""

    @property
    def total(self) -> int:
        return self.delivered + self.pending + self.failed


@dataclass(frozen=True, slots=True)
class Delivered:
    """One delivery with whom it is for; `to` is "" for the webhook."""

    row: AlertDelivery
    to: str


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What came of the newest deliveries: when the last arrived, how many wait after a try, or were given up."""

    last_at: datetime | None
    waiting: int
    given_up: int
    problem: str


def unread(session: Session, user_id: int) -> int:
    """How many unread notices the person has, those beyond COUNTED as one more; one statement."""
    newest = (
        select(AlertNotice.message_id)
        .where(AlertNotice.user_id == user_id, AlertNotice.read_at.is_(None))
        .limit(COUNTED + 1)
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(newest)) or 0


def notices(
    session: Session,
    user_id: int,
    *,
    limit: int,
    unread_only: bool,
    before: int | None = None,
    after: int | None = None,
) -> list[BellMessage]:
    """Up to `limit` of the person's notices, newest first, from a neighbour on; `after` reads upwards."""
    statement = (
        select(AlertMessage, AlertNotice.read_at, Alert.closed_at)
        .select_from(AlertNotice)
        .join(AlertMessage, AlertMessage.id == AlertNotice.message_id)
        .outerjoin(Alert, Alert.id == AlertMessage.alert_id)
        .where(AlertNotice.user_id == user_id)
    )
    if unread_only:
        statement = statement.where(AlertNotice.read_at.is_(None))
    statement = page_by_number(statement, AlertNotice.message_id, before, after)
    return [BellMessage(*row) for row in session.execute(statement.limit(limit))]


def messages(
    session: Session, *, limit: int, before: int | None = None, after: int | None = None
) -> list[Told]:
    """Up to `limit` messages with what became of them, in three statements; paged as above."""
    statement = page_by_number(select(AlertMessage), AlertMessage.id, before, after)
    found = [Told(one) for one in session.scalars(statement.limit(limit))]
    _add_up(session, found)
    return found


def one_message(session: Session, message_id: int) -> tuple[Told, Sequence[Delivered]] | None:
    """A message and each of its deliveries; None when there is no such message."""
    message = session.get(AlertMessage, message_id)
    if message is None:
        return None
    told = Told(message)
    _add_up(session, [told])
    rows = session.execute(
        select(AlertDelivery, User)
        .outerjoin(User, User.id == AlertDelivery.user_id)
        .where(AlertDelivery.message_id == message_id)
        .order_by(AlertDelivery.id)
    )
    return told, [Delivered(row, user.name if user is not None else "") for row, user in rows]


def arrivals(session: Session, *, now: datetime) -> Arrivals:
    """How delivery goes, by the newest deliveries, in one statement."""
    rows = session.execute(
        select(
            AlertDelivery.status,
            AlertDelivery.tries,
            AlertDelivery.tried_at,
            AlertDelivery.delivered_at,
            AlertDelivery.problem,
        )
        .order_by(AlertDelivery.id.desc())
        .limit(LOOKED_AT)
    ).all()
    waiting = [one for one in rows if one.status == "pending" and one.problem]
    given_up = [
        one for one in rows if one.status == "failed" and one.tried_at and now - one.tried_at <= _LATELY
    ]
    troubled = sorted((*waiting, *given_up), key=lambda one: one.tried_at or now)
    return Arrivals(
        last_at=max((one.delivered_at for one in rows if one.delivered_at), default=None),
        waiting=len(waiting),
        given_up=len(given_up),
        problem=troubled[-1].problem or "" if troubled else "",
    )


def _add_up(session: Session, found: Sequence[Told]) -> None:
    by_id = {one.message.id: one for one in found}
    if not by_id:
        return
    people = (
        select(AlertNotice.message_id, func.count())
        .where(AlertNotice.message_id.in_(by_id))
        .group_by(AlertNotice.message_id)
    )
    for message_id, count in session.execute(people):
        by_id[message_id].people = count
    tallies: defaultdict[tuple[int, Channel], Tally] = defaultdict(Tally)
    problem = func.max(AlertDelivery.problem).filter(AlertDelivery.status != literal_column("'delivered'"))
    deliveries = (
        select(
            AlertDelivery.message_id,
            AlertDelivery.channel,
            AlertDelivery.status,
            func.count(),
            func.count().filter(and_(AlertDelivery.uncertain)),
            problem,
        )
        .where(AlertDelivery.message_id.in_(by_id))
        .group_by(AlertDelivery.message_id, AlertDelivery.channel, AlertDelivery.status)
    )
    for message_id, channel, status, count, doubts, why in session.execute(deliveries):
        tally = tallies[message_id, Channel(channel)]
        setattr(tally, status, count)
        tally.uncertain = tally.uncertain or bool(doubts)
        tally.problem = tally.problem or why or ""
    for (message_id, channel), tally in tallies.items():
        by_id[message_id].channels[channel] = tally
