"""The outbox: one sender at a time, back-off, order, poison, and senders that die."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.connectors.alerts import DeliveryOutcome, OutgoingAlert
from app.domain.alerts.rules import GIVE_UP_AFTER, AlertKind, AlertText, Audience, Channel, Matter
from app.models import AlertDelivery, AlertNotice, User
from app.services.alerts.lifecycle import open_alert, people_of, tell
from app.services.alerts.outbox import DIED, DIED_TWICE, HELD_FOR, note, take
from tests.support.factories import NOW, make_group, make_user

MAIL, HOOK = Channel.MAIL, Channel.WEBHOOK
ALERT_TEXT = AlertText("Jira: fails", ("3 runs failed.",), "/runs")
DOWN = DeliveryOutcome(False, "The server could not be reached.", down=True)
MOMENT = timedelta(seconds=1)


@pytest.fixture
def alice(session: Session) -> User:
    return make_user(session, "admin", first_name="Alice", email="alice@example.org")


def told(
    session: Session,
    *people: User,
    channels: Collection[Channel] = (MAIL,),
    transition: str = "opened",
    alert_id: int | None = None,
) -> int:
    return tell(
        session,
        ALERT_TEXT,
        kind=AlertKind.FAILURES,
        transition=transition,
        people=[one.id for one in people],
        channels=channels,
        now=NOW,
        alert_id=alert_id,
    )


def taken(session: Session, channel: Channel = MAIL, *, at: datetime = NOW) -> OutgoingAlert:
    outgoing = take(session, channel, now=at)
    assert outgoing is not None
    return outgoing


def rows(session: Session) -> list[AlertDelivery]:
    session.expire_all()
    return list(session.scalars(select(AlertDelivery).order_by(AlertDelivery.id)))


def test_each_person_gets_a_notice_and_a_mail_and_the_webhook_one_call(session: Session, alice: User) -> None:
    bob = make_user(session, "admin")
    told(session, alice, bob, alice, channels=(MAIL, HOOK))
    assert [(one.channel, one.user_id) for one in rows(session)] == [
        ("mail", alice.id),
        ("mail", bob.id),
        ("webhook", None),
    ]
    assert set(session.scalars(select(AlertNotice.user_id))) == {alice.id, bob.id}
    outgoing = taken(session)
    assert (outgoing.to_name, outgoing.to_address) == (alice.name, "alice@example.org")
    assert (outgoing.title, outgoing.lines, outgoing.path) == (
        ALERT_TEXT.title,
        ALERT_TEXT.lines,
        ALERT_TEXT.path,
    )


def test_a_delivery_is_one_senders_and_no_others_until_it_is_noted(session: Session, alice: User) -> None:
    told(session, alice)
    outgoing = taken(session)
    assert take(session, MAIL, now=NOW + MOMENT) is None
    assert note(session, outgoing, DeliveryOutcome(True), now=NOW)
    assert take(session, MAIL, now=NOW + HELD_FOR * 2) is None
    [row] = rows(session)
    assert (row.status, row.tries, row.uncertain, row.problem) == ("delivered", 1, False, None)


def test_what_fails_for_now_is_left_and_tried_later_and_later_under_the_same_id(
    session: Session, alice: User
) -> None:
    told(session, alice)
    at, ids, waits = NOW, set(), []
    for _ in range(12):
        outgoing = taken(session, at=at)
        ids.add(outgoing.uid)
        note(session, outgoing, DOWN, now=at)
        [row] = rows(session)
        assert (row.status, row.problem) == ("pending", DOWN.problem)
        assert take(session, MAIL, now=row.due_at - MOMENT) is None
        waits.append((row.due_at - at).total_seconds())
        at = row.due_at
    assert waits[:4] == [10, 20, 40, 80]
    assert waits[-1] == 3600
    assert len(ids) == 1


def test_it_is_given_up_in_the_end_and_at_once_when_another_try_is_no_use(
    session: Session, alice: User
) -> None:
    told(session, alice)
    told(session, alice)
    note(session, taken(session), DeliveryOutcome(False, "No such mailbox.", lasting=True), now=NOW)
    at = NOW + GIVE_UP_AFTER
    note(session, taken(session, at=at), DOWN, now=at)
    assert [(one.status, one.problem) for one in rows(session)] == [
        ("failed", "No such mailbox."),
        ("failed", DOWN.problem),
    ]


def test_one_that_never_goes_through_holds_no_other_up(session: Session, alice: User) -> None:
    told(session, alice)
    told(session, alice)
    first = taken(session)
    note(session, first, DeliveryOutcome(False, "451"), now=NOW)
    second = taken(session)
    assert second.delivery_id != first.delivery_id


def test_a_sender_that_dies_has_it_sent_once_more_and_said_to_be_uncertain(
    session: Session, alice: User
) -> None:
    told(session, alice)
    first = taken(session)
    later = NOW + HELD_FOR + MOMENT
    again = taken(session, at=later)
    assert again.uid == first.uid
    assert [(one.uncertain, one.problem) for one in rows(session)] == [(True, DIED)]
    # What the first one would still say is late.
    assert not note(session, first, DOWN, now=later)
    assert note(session, again, DeliveryOutcome(True), now=later)
    [row] = rows(session)
    assert (row.status, row.uncertain) == ("delivered", True)


def test_one_that_takes_two_senders_with_it_is_not_tried_again(session: Session, alice: User) -> None:
    told(session, alice)
    told(session, alice)
    taken(session)
    second = taken(session)
    note(session, second, DeliveryOutcome(True), now=NOW)
    taken(session, at=NOW + HELD_FOR + MOMENT)
    assert take(session, MAIL, now=NOW + 2 * HELD_FOR + 2 * MOMENT) is None
    dead, _ = rows(session)
    assert (dead.status, dead.problem) == ("failed", DIED_TWICE)


def test_a_lost_answer_is_tried_again_and_said_to_be_uncertain(session: Session, alice: User) -> None:
    told(session, alice)
    note(session, taken(session), DeliveryOutcome(False, "No answer.", down=True, uncertain=True), now=NOW)
    [row] = rows(session)
    assert (row.status, row.uncertain) == ("pending", True)
    assert take(session, MAIL, now=row.due_at) is not None


def test_a_matters_messages_go_out_in_their_order(session: Session, alice: User) -> None:
    matter = Matter(AlertKind.FAILURES, "1", Audience("workflow:run"), ALERT_TEXT)
    alert_id = open_alert(session, matter, now=NOW)
    told(session, alice, alert_id=alert_id)
    told(session, alice, alert_id=alert_id, transition="resolved")
    first = taken(session)
    note(session, first, DOWN, now=NOW)
    assert take(session, MAIL, now=NOW + MOMENT) is None
    later = NOW + timedelta(minutes=1)
    parcels = []
    for _ in range(2):
        parcels.append(taken(session, at=later))
        note(session, parcels[-1], DeliveryOutcome(True), now=later)
    assert [one.transition for one in parcels] == ["opened", "resolved"]


def test_somebody_deactivated_since_gets_nothing(session: Session, alice: User) -> None:
    told(session, alice)
    alice.is_active = False
    session.flush()
    assert take(session, MAIL, now=NOW) is None
    assert [one.status for one in rows(session)] == ["failed"]


def test_a_matter_is_open_once(session: Session) -> None:
    matter = Matter(AlertKind.FAILURES, "1", Audience("workflow:run"), ALERT_TEXT)
    assert open_alert(session, matter, now=NOW) is not None
    assert open_alert(session, matter, now=NOW) is None


def test_those_are_told_who_may_act(session: Session, alice: User) -> None:
    viewer = make_user(session)
    gone = make_user(session, "admin", is_active=False)
    bob = make_user(session, "admin")
    group = make_group(session, bob, viewer, gone)
    session.flush()
    everybody = people_of(session, Audience("workflow:task"))
    assert everybody == [alice.id, bob.id]
    assert people_of(session, Audience("workflow:task", group_id=group.id)) == [bob.id]
    assert people_of(session, Audience("workflow:task", user_id=viewer.id)) == []
    assert people_of(session, Audience("workflow:task", barred_id=bob.id)) == [alice.id]
