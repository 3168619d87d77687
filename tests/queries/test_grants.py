"""Lists of grants, one grant's story, and its chip."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.domain.grants.state import GrantState
from app.queries.grants import GrantFilters, grant_detail, grant_list, state_of
from tests.support.queries.stories import Story, ok, refused


def found(session: Session, **filters: object) -> list[int]:
    return [one.id for one in grant_list(session, GrantFilters(**filters), limit=50)]


def test_filters_narrow_the_list_newest_first(session: Session) -> None:
    done = Story(session).answer(ok(200), ok())
    gone = Story(session, trigger="access_revoked")
    broken = Story(session).answer(refused())
    assert found(session) == [broken.grant.id, gone.grant.id, done.grant.id]
    assert found(session, is_active=True) == [broken.grant.id, done.grant.id]
    assert found(session, is_active=False) == [gone.grant.id]
    assert found(session, state=GrantState.NEEDS_ATTENTION) == [broken.grant.id]
    assert found(session, application_id=done.application.id) == [done.grant.id]
    assert found(session, user_id=gone.person.id) == [gone.grant.id]
    assert found(session, user_id=2**63) == []


def test_pages_go_both_ways_by_key(session: Session) -> None:
    ids = sorted((Story(session).grant.id for _ in range(4)), reverse=True)
    older = grant_list(session, GrantFilters(), limit=2, before=ids[0])
    newer = grant_list(session, GrantFilters(), limit=2, after=ids[3])
    assert [one.id for one in older] == ids[1:3]
    assert [one.id for one in newer] == [ids[2], ids[1]]


def test_a_grant_comes_with_its_decisions_and_runs(session: Session) -> None:
    story = Story(session, trigger="access_revoked")
    detail = grant_detail(session, story.grant.id)
    assert [(one.trigger, one.outcome) for one in detail.decisions] == [
        ("access_granted", "no_run"),
        ("access_revoked", "run"),
    ]
    assert [one.id for one in detail.runs] == [story.run.id]
    assert detail.grant.user.name == "Jane Doe"


@pytest.mark.parametrize("number", [0, -1, 999, 2**63])
def test_there_is_no_such_grant(session: Session, number: int) -> None:
    assert grant_detail(session, number) is None


def test_the_chip_says_why_there_is_no_automation(session: Session) -> None:
    story = Story(session)
    chip = state_of(story.grant)
    assert (chip.code, chip.label, chip.run_id, chip.reason) == (
        "provisioning",
        "Provisioning…",
        story.run.id,
        None,
    )
    story.cancel()
    session.refresh(story.grant)
    chip = state_of(story.grant)
    assert (chip.label, chip.reason_code, chip.reason) == (
        "No automation",
        "cancelled",
        "its run was cancelled",
    )
