"""The sweeper's look: what opens, grows and ends is told once to those who should know, whoever looks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from flask import Flask
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.alerts.rules import GRACE, AlertText
from app.domain.states import FailureClass
from app.extensions import db
from app.models import (
    Alert,
    AlertMessage,
    AlertNotice,
    Application,
    Grant,
    ManualTask,
    Role,
    Run,
    User,
    Worker,
)
from app.services import grants, tasks
from app.services.accounts import actor_for_user
from app.services.alerts.lifecycle import KEPT_FOR
from app.workers import alert_watch
from tests.support.factories import human_step, make_application, make_group, make_user
from tests.support.queries.stories import ALICE, Steps, Story, edge, failed, ok, refused

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    """A session beside that of the look."""
    with app.app_context(), Session(db.engine) as session:
        yield session


@pytest.fixture
def alice(session: Session) -> User:
    made = make_user(session, "admin", first_name="Alice", last_name="Admin")
    session.commit()
    return made


def look(app: Flask, session: Session, *, now: datetime | None = None) -> int:
    """A look by somebody else: the test's own session reads on from after it."""
    session.rollback()
    count = alert_watch.look(app, now=now)
    session.rollback()
    return count


def told(session: Session, kind: str = "") -> list[tuple[str, str]]:
    """Every message so far but the day's digest, as (transition, title)."""
    session.rollback()
    statement = select(AlertMessage.transition, AlertMessage.title).order_by(AlertMessage.id)
    statement = statement.where(AlertMessage.kind == kind if kind else AlertMessage.kind != "digest")
    return [(row.transition, row.title) for row in session.execute(statement)]


def alert_text(session: Session, number: int = -1) -> AlertText:
    session.rollback()
    rows = session.scalars(
        select(AlertMessage).where(AlertMessage.kind != "digest").order_by(AlertMessage.id)
    )
    row = rows.all()[number]
    return AlertText(row.title, tuple(row.lines), row.path)


def readers(session: Session, *, unread: bool = False) -> set[int]:
    """Who has a notice of a message that is no digest."""
    session.rollback()
    statement = select(AlertNotice.user_id).join(AlertMessage).where(AlertMessage.kind != "digest")
    return set(session.scalars(statement.where(AlertNotice.read_at.is_(None)) if unread else statement))


def more_failures(session: Session, story: Story, count: int) -> None:
    """So many more runs of other people that failed as this one did."""
    runs = {c.name: getattr(story.run, c.name) for c in Run.__table__.columns if c.name != "id"}
    for number in range(count):
        person = make_user(session)
        values = {c.name: getattr(story.grant, c.name) for c in Grant.__table__.columns if c.name != "id"}
        grant = Grant(**values | {"user_id": person.id})
        session.add(grant)
        session.flush()
        run = Run(**runs | {"grant_id": grant.id, "user_id": person.id, "uid": f"{person.id:032}"[:32]})
        session.add(run)
        session.flush()
        grant.newest_run_id = run.id
        assert number < count
    session.commit()


def test_a_group_of_failures_is_told_once_with_what_mends_it(
    app: Flask, session: Session, alice: User
) -> None:
    bob = make_user(session, "member")
    Story(session).answer(ok(200), refused(401))
    assert look(app, session) >= 1
    look(app, session)
    story_of = session.scalars(select(Run)).one()
    name, application = story_of.application_id, session.get_one(Application, story_of.application_id).name
    assert told(session) == [("opened", f"{application}: “Create the account” fails (HTTP 401 Unauthorized)")]
    words = " ".join(alert_text(session).lines)
    assert "1 run of 1 person failed there since" in words
    assert "Add the credential" in words
    address, _, query = alert_text(session).path.partition("?")
    assert (address, dict(parse_qsl(query))) == (
        "/runs",
        {
            "application": str(name),
            "status": "attention",
            "class": "http_4xx",
            "connection": str(story_of.failure_connection_id),
            "step": "create",
            "code": "401",
        },
    )
    assert readers(session) == {alice.id}
    assert bob.id not in readers(session)


def test_it_is_told_again_when_it_has_grown_tenfold_and_not_before(
    app: Flask, session: Session, alice: User
) -> None:
    story = Story(session).answer(ok(200), refused(401))
    look(app, session)
    more_failures(session, story, 8)
    look(app, session)
    assert [one for one, _ in told(session)] == ["opened"]
    more_failures(session, story, 1)
    for _ in range(2):
        look(app, session)
    assert [one for one, _ in told(session)] == ["opened", "grew from 1"]
    assert told(session)[-1][1].endswith(": 10 now")


def test_it_is_resolved_once_when_no_run_has_failed_there_for_a_while(
    app: Flask, session: Session, alice: User
) -> None:
    story = Story(session).answer(ok(200), refused(401))
    look(app, session)
    story.retry()
    now = clock.now()
    look(app, session, now=now)
    # It fails again: nothing was resolved.
    story.answer(refused(401))
    look(app, session, now=now + GRACE)
    story.retry().answer(ok())
    for at in (now + GRACE, now + 2 * GRACE, now + 3 * GRACE):
        look(app, session, now=at)
    assert [one for one, _ in told(session)] == ["opened", "resolved"]
    assert told(session)[-1][1].startswith("Resolved: ")
    # Only the end is still news.
    assert session.scalars(
        select(AlertMessage.transition)
        .join(AlertNotice)
        .where(AlertNotice.read_at.is_(None), AlertMessage.kind != "digest")
    ).all() == ["resolved"]


def test_after_its_end_the_same_cause_opens_anew(app: Flask, session: Session, alice: User) -> None:
    now = clock.now()
    story = Story(session).answer(ok(200), refused(401))
    look(app, session, now=now)
    story.retry().answer(ok())
    look(app, session, now=now + MINUTE)
    look(app, session, now=now + MINUTE + GRACE)
    other = Story.__new__(Story)
    other.__dict__.update(story.__dict__)
    other.person = make_user(session)
    other.grant = other.granted()
    other.run = other.newest()
    other.answer(ok(200), refused(401))
    look(app, session, now=now + 10 * MINUTE)
    assert [one for one, _ in told(session)] == ["opened", "resolved", "opened"]


def test_what_a_person_failed_on_purpose_is_no_news(app: Flask, session: Session, alice: User) -> None:
    Story(session, lambda _: [human_step("team")]).take().fail("She left")
    look(app, session)
    assert told(session) == []


def test_access_that_should_be_gone_is_told_as_that_and_not_twice(
    app: Flask, session: Session, alice: User
) -> None:
    story = Story(session, trigger="access_revoked").answer(ok(200), refused(403))
    look(app, session)
    assert told(session) == [("opened", f"{story.application.name}: access that should be gone")]
    assert "1 person" in alert_text(session).lines[0]
    now = clock.now()
    story.retry().answer(ok())
    look(app, session, now=now)
    look(app, session, now=now + GRACE)
    assert told(session)[-1][0] == "resolved"


def test_a_task_is_told_to_whom_it_was_given_and_leaves_the_bell_when_it_is_done(
    app: Flask, session: Session, alice: User
) -> None:
    bob = make_user(session, "member", first_name="Bob", last_name="Builder")
    session.scalars(select(Role).where(Role.kind == "member")).one().permissions = ["workflow:task"]
    story = Story(session, asks(assignee={"user_id": str(bob.id)})).take()
    look(app, session)
    assert told(session) == [("opened", f"A task waits for you: “team” on {story.application.name}")]
    assert "It is about the access of Jane Doe." in alert_text(session).lines
    assert "Which team" not in " ".join(alert_text(session).lines)
    assert readers(session, unread=True) == {bob.id}
    task = session.scalars(select(ManualTask)).one()
    tasks.submit(session, actor_for_user(bob, "test"), task, {"team": "Red"})
    session.commit()
    look(app, session)
    assert readers(session, unread=True) == set()
    assert [one for one, _ in told(session)] == ["opened"]


def test_a_task_that_is_given_to_a_group_is_told_to_its_members_and_anew_to_whom_it_goes_next(
    app: Flask, session: Session, alice: User
) -> None:
    bob, cy = make_user(session, "admin"), make_user(session, "admin")
    group = make_group(session, bob, cy)
    Story(session, asks(assignee={"group_id": str(group.id)})).take()
    look(app, session)
    assert readers(session, unread=True) == {bob.id, cy.id}
    task = session.scalars(select(ManualTask)).one()
    tasks.assign(session, ALICE, task, user=alice, now=clock.now())
    session.commit()
    look(app, session)
    look(app, session)
    assert readers(session, unread=True) == {alice.id}
    assert len(told(session)) == 2


def test_a_task_of_somebody_who_may_not_act_is_told_to_those_who_can_help(
    app: Flask, session: Session, alice: User
) -> None:
    viewer = make_user(session)
    Story(session, asks(assignee={"user_id": str(viewer.id)})).take()
    look(app, session)
    assert readers(session) == {alice.id}


def test_tasks_for_anyone_are_one_matter(app: Flask, session: Session, alice: User) -> None:
    story = Story(session, edge("escalate")).answer(refused(403))
    look(app, session)
    for number in range(3):
        story.person = make_user(session)
        story.grant = story.granted()
        story.run = story.newest()
        story.answer(refused(403))
        look(app, session)
        assert number < 3
    assert told(session) == [("opened", f"{story.application.name}: “create” needs a person")]


def test_a_task_is_told_when_it_falls_due_and_when_it_is_overdue(
    app: Flask, session: Session, alice: User
) -> None:
    Story(session, asks(assignee={"user_id": str(alice.id)}, due_hours=24)).take()
    due = session.scalars(select(ManualTask.due_at)).one()
    assert due is not None
    for at in (due - 5 * 60 * MINUTE, due - 3 * 60 * MINUTE, due - 2 * 60 * MINUTE, due + MINUTE, due + DAY):
        look(app, session, now=at)
    heads = [title.partition(":")[0] for _, title in told(session)]
    assert heads == ["A task waits for you", "Due soon", "Overdue"]


def test_a_task_with_little_time_is_told_when_it_is_given_and_when_it_is_late(
    app: Flask, session: Session, alice: User
) -> None:
    Story(session, asks(assignee={"user_id": str(alice.id)}, due_hours=2)).take()
    due = session.scalars(select(ManualTask.due_at)).one()
    assert due is not None
    for at in (due - MINUTE, due + MINUTE):
        look(app, session, now=at)
    assert [title.partition(":")[0] for _, title in told(session)] == ["A task waits for you", "Overdue"]


def test_workers_that_went_silent_are_told_together_and_those_that_left_are_not(
    app: Flask, session: Session, alice: User
) -> None:
    now = clock.now()
    for name, seen, left in (
        ("one", now - MINUTE, None),
        ("two", now - MINUTE, None),
        ("left", now - MINUTE, now - MINUTE),
        ("well", now, None),
        ("of old", now - DAY, None),
    ):
        session.add(
            Worker(name=name, started_at=now - DAY, seen_at=seen, concurrency=4, in_flight=0, left_at=left)
        )
    session.commit()
    look(app, session, now=now)
    look(app, session, now=now)
    assert told(session) == [("opened", "2 workers were lost")]
    assert alert_text(session).lines == ("• Worker one was lost", "• Worker two was lost")


def test_access_that_expires_is_told_a_fortnight_before_and_again_when_the_day_changes(
    app: Flask, session: Session, alice: User
) -> None:
    now = clock.now()
    application = make_application(session, name="Jira")
    person = make_user(session, first_name="Jane", last_name="Doe")
    grant = grants.grant(
        session, ALICE, application=application, user=person, now=now, expires_at=now + 20 * DAY
    )
    grants.grant(session, ALICE, application=application, user=person, now=now, expires_at=now + 10 * DAY)
    session.commit()
    look(app, session, now=now)
    assert told(session) == []
    for _ in range(2):
        look(app, session, now=now + 7 * DAY)
    assert told(session) == [("opened", "Jane Doe: access to Jira expires soon")]
    assert alert_text(session).path == f"/grants/{grant.id}"
    grant.expires_at = now + 21 * DAY
    session.commit()
    for _ in range(3):
        look(app, session, now=now + 8 * DAY)
    assert len(told(session)) == 2
    grants.revoke(session, ALICE, grant, now=clock.now())
    session.commit()
    look(app, session, now=now + 8 * DAY)
    assert readers(session, unread=True) == set()


def test_a_look_takes_as_many_statements_at_much_trouble_as_at_little(
    app: Flask, session: Session, alice: User
) -> None:
    def statements() -> int:
        seen: list[str] = []

        def note(_c: object, _cur: object, statement: str, *_rest: object) -> None:
            seen.append(statement)

        event.listen(db.engine, "before_cursor_execute", note)
        try:
            look(app, session)
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
        return len(seen)

    story = Story(session).answer(ok(200), refused(401))
    look(app, session)
    few = statements()
    more_failures(session, story, 8)
    for _ in range(3):
        Story(session, asks(assignee={"user_id": str(alice.id)})).take()
        Story(session, trigger="access_revoked").answer(ok(200), refused(403))
    look(app, session)
    assert statements() == few


def test_two_who_look_at_once_tell_once(app: Flask, session: Session, alice: User) -> None:
    Story(session).answer(ok(200), refused(401))
    session.rollback()
    start = threading.Barrier(4)

    def one() -> None:
        with app.app_context():
            start.wait(10)
            alert_watch.look(app)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(told(session)) == 1
    assert len(told(session, "digest")) <= 1


def test_the_digest_is_told_once_a_day_from_seven_with_what_was_fixed(
    app: Flask, session: Session, alice: User
) -> None:
    today = clock.now().replace(hour=8)
    story = Story(session).answer(ok(200), refused(401))
    Story(session).answer(ok(200), failed(FailureClass.HTTP_5XX, http_status=503))
    look(app, session, now=today)
    story.retry().answer(ok())
    for after in (MINUTE, MINUTE + GRACE):
        look(app, session, now=today + after)
    before = len(told(session, "digest"))
    look(app, session, now=today + 22 * 60 * MINUTE)
    assert len(told(session, "digest")) == before
    for minutes in (0, 1, 60):
        look(app, session, now=today + 23 * 60 * MINUTE + minutes * MINUTE)
    assert len(told(session, "digest")) == before + 1
    row = session.scalars(
        select(AlertMessage).where(AlertMessage.kind == "digest").order_by(AlertMessage.id.desc())
    ).first()
    assert row is not None
    text = "\n".join(row.lines)
    assert "Began:" in text
    assert "Still open:\n" in text
    assert "503" in text.partition("Still open:\n")[2]
    assert "401" not in text.partition("Still open:\n")[2]


def test_a_day_of_which_there_is_nothing_to_tell_has_no_digest(
    app: Flask, session: Session, alice: User
) -> None:
    look(app, session, now=clock.now().replace(hour=12))
    assert told(session, "digest") == []


def test_old_messages_and_closed_alerts_are_forgotten_and_what_is_under_way_is_not(
    app: Flask, session: Session, alice: User
) -> None:
    now = clock.now()
    story = Story(session).answer(ok(200), refused(401))
    look(app, session, now=now)
    story.retry().answer(ok())
    look(app, session, now=now + MINUTE)
    look(app, session, now=now + MINUTE + GRACE)
    assert len(told(session)) == 2
    later = (now + KEPT_FOR + DAY).replace(hour=2)
    for _ in range(2):
        look(app, session, now=later)
    assert told(session) == []
    session.rollback()
    assert session.scalars(select(Alert).where(Alert.kind == "failures")).all() == []


def asks(**step: object) -> Steps:
    return lambda _connection: [human_step("team", **step)]
