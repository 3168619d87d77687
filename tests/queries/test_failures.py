"""Open failures grouped by what they have in common."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.domain.states import FailureClass
from app.extensions import db
from app.models import Run
from app.queries import failures
from app.queries.failures import failure_groups
from app.queries.workflow_versions import forget_definitions
from app.services import grants, recovery
from tests.support.factories import http_step, make_user
from tests.support.queries.statements import statements
from tests.support.queries.stories import ALICE, Story, edge, failed, ok, refused, with_person


def again(story: Story, *outcomes: object, person: object = None) -> Run:
    """One more grant on the story's application, for somebody else unless `person` is given; it fails the same."""
    who = person or make_user(story.session)
    grants.grant(story.session, ALICE, application=story.application, user=who, now=story.at)
    story.session.commit()
    first, story.run = story.run, story.newest()
    story.answer(*outcomes)
    story.run, found = first, story.run
    return found


def test_failures_with_one_cause_are_one_group_with_its_times_runs_and_people(session: Session) -> None:
    story = Story(session).answer(ok(200), refused(401))
    more = [again(story, ok(200), refused(401)) for _ in range(2)]
    [group] = failure_groups(session).groups
    assert group.cause == failures.Cause(
        story.application.id, story.connection.id, "create", FailureClass.HTTP_4XX, 401
    )
    assert (group.application, group.connection, group.step_name) == (
        story.application.name,
        story.connection.name,
        "Create the account",
    )
    assert (group.runs, group.people, group.retryable) == (3, 3, 3)
    assert (group.first_at, group.last_at) == (story.run.finished_at, more[-1].finished_at)
    assert group.newest_run_id == more[-1].id


def test_another_status_step_or_application_is_another_group(session: Session) -> None:
    story = Story(session).answer(ok(200), refused(401))
    again(story, ok(200), refused(403))
    again(story, refused(401))
    again(story, ok(200), failed(FailureClass.NETWORK))
    Story(session).answer(ok(200), refused(401))
    found = failure_groups(session).groups
    assert len(found) == len({one.cause.key for one in found}) == 5


def test_several_runs_of_one_person_count_once_as_a_person(session: Session) -> None:
    story = Story(session).answer(ok(200), refused(401))
    again(story, ok(200), refused(401), person=story.person)
    [group] = failure_groups(session).groups
    assert (group.runs, group.people) == (2, 1)


def test_what_was_retried_replaced_or_superseded_is_no_open_failure(session: Session) -> None:
    Story(session).answer(ok(200), refused(401)).retry()
    replaced = Story(session).answer(ok(200), refused(401))
    recovery.replay(session, ALICE, replaced.run)
    Story(session).answer(ok(200), refused(401)).revoke()
    assert failure_groups(session).groups == []


def test_a_run_that_a_person_failed_and_one_that_was_compensated_are_groups_too(session: Session) -> None:
    Story(session, with_person).take().fail("She left")
    Story(session, edge({"compensate": "undo"})).answer(refused(400), ok(204))
    by_class = {one.cause.failure: one for one in failure_groups(session).groups}
    assert by_class[None].cause.connection_id is None
    assert by_class[None].retryable == 1
    assert by_class[FailureClass.HTTP_4XX].retryable == 0


def test_the_newest_spike_comes_first_and_a_trickle_does_not_pass_for_one(session: Session) -> None:
    trickle = Story(session).answer(ok(200), refused(404))
    for _ in range(2):
        again(trickle, ok(200), refused(404))
    outage = Story(session).answer(ok(200), failed(FailureClass.NETWORK))
    again(outage, ok(200), failed(FailureClass.NETWORK))
    again(trickle, ok(200), refused(404))
    found = failure_groups(session).groups
    assert [one.cause.application_id for one in found] == [outage.application.id, trickle.application.id]
    assert found[1].newest_run_id > found[0].newest_run_id


def test_a_step_keeps_the_name_of_its_version_and_a_connection_that_is_gone_has_none(
    session: Session,
) -> None:
    story = Story(session, lambda c: [http_step("create", c)]).answer(refused(401))
    story.run.failure_connection_id = 999
    session.commit()
    [group] = failure_groups(session).groups
    assert (group.step_name, group.connection) == ("Create", "")


def test_more_failures_than_are_looked_at_are_said_to_be_more(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "LOOKED_AT", 2)
    story = Story(session).answer(ok(200), refused(401))
    assert failure_groups(session).is_whole
    newest = [again(story, ok(200), refused(401)).id for _ in range(2)][-1]
    found = failure_groups(session)
    assert not found.is_whole
    assert (found.runs, found.groups[0].newest_run_id) == (2, newest)


def test_it_takes_four_statements_however_many_there_are(session: Session) -> None:
    for status in (401, 403, 404):
        Story(session).answer(ok(200), refused(status))
    forget_definitions()
    with statements(db.engine) as sent:
        failure_groups(session)
    assert len(sent) == 4
