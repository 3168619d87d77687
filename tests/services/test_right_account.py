"""Whose account a run acts on: what is kept where, what contradicts what is known, and who said what was done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass as F
from app.models import Attempt, ExternalAccount, Grant, Run
from app.permissions import Actor
from app.queries.left_behind import left_behind
from app.services import grants
from app.services.advance import Move, advance
from tests.support.factories import NOW, make_user
from tests.support.services.stage import REFUSED, Stage
from tests.support.services.tasks import HOLDER

SAME: dict[str, Any] = {"id": {"path": "$.id", "same": True}}


@pytest.fixture
def stage(session: Session, admin: Actor) -> Stage:
    return Stage(session, admin)


def account(stage: Stage) -> dict[str, Any]:
    stage.session.expire_all()
    return dict(stage.session.scalars(select(ExternalAccount)).one().captured)


def test_a_step_is_told_what_another_step_of_its_run_kept_by_the_same_name(stage: Stage) -> None:
    """As in a version that was saved before two steps could not keep one name any more."""
    users, mail = (stage.step(key, name=key, capture={"id": "$.id"}) for key in ("users", "mailboxes"))
    stage.workflow(users, mail)
    stage.grant()
    [first] = stage.claim()
    assert first.order is not None
    assert first.order.known == {}
    order = stage.answer(Outcome.success(201, {"id": 1001})).order
    assert order is not None
    assert order.known == {"id": (1001, "what “users” found")}
    wrong = Outcome.failed(F.WRONG_ACCOUNT, http_status=201, detail="id is not what “users” found")
    stage.answer(wrong)
    assert (stage.run().status, stage.run().failure_class) == ("failed", "wrong_account")
    assert account(stage) == {"id": 1001}


def test_a_step_that_finds_the_same_account_is_told_which_one_is_known(stage: Stage) -> None:
    stage.workflow(stage.step("look", capture={"id": {"path": "$.id", "same": True}, "mail": "$.mail"}))
    stage.grant()
    stage.session.scalars(select(ExternalAccount)).one().captured = {"id": "u-7", "mail": "a@x"}
    [first] = stage.claim()
    assert first.order is not None
    assert first.order.known == {"id": ("u-7", "what is known of this person's account")}


def test_two_grants_of_one_person_keep_a_value_each(stage: Stage) -> None:
    stage.workflow(stage.step("join", capture={"member": {"path": "$.id", "keep": "grant"}, "id": "$.user"}))
    stage.workflow(
        stage.step("leave", path="/{{ grant.kept.member }}"), trigger="access_revoked", policy="each_grant"
    )
    eng, finance = stage.grant(access_level="eng"), stage.grant(access_level="finance")
    for at, member in enumerate(("m-eng", "m-finance")):
        stage.claim()
        stage.answer(Outcome.success(201, {"member": member, "id": "u-7"}), run=stage.run(at))
    grants.revoke(stage.session, stage.admin, eng, now=NOW)
    [leaving] = stage.claim()
    assert leaving.order is not None
    assert leaving.order.context["grant"]["kept"] == {"member": "m-eng"}
    assert leaving.order.context["account"] == {"id": "u-7"}
    kept = stage.session.execute(select(Grant.id, Grant.kept).order_by(Grant.id)).all()
    assert [tuple(one) for one in kept] == [
        (eng.id, {"member": "m-eng"}),
        (finance.id, {"member": "m-finance"}),
    ]


def test_what_is_kept_for_the_run_alone_is_known_to_its_steps_alone(stage: Stage) -> None:
    stage.workflow(stage.step("look", capture={"job": {"path": "$.job", "keep": False}}), stage.step("wait"))
    grant = stage.grant()
    stage.claim()
    order = stage.answer(Outcome.success(202, {"job": "j-1"})).order
    assert order is not None
    assert order.context["steps"] == {"look": {"job": "j-1"}}
    assert account(stage) == {}
    assert stage.session.get_one(Grant, grant.id).kept == {}


def test_a_list_is_kept_as_a_list(stage: Stage) -> None:
    stage.workflow(stage.step("look", capture={"groups": {"path": "$.g[*]", "list": True}}))
    stage.grant()
    stage.claim()
    stage.answer(Outcome.success(200, {"groups": ["a", 2]}))
    assert account(stage) == {"groups": ["a", 2]}


def test_what_was_found_is_kept_although_the_step_failed(stage: Stage) -> None:
    stage.workflow(stage.step(capture={"id": "$.id", "mail": "$.mail"}))
    stage.grant()
    stage.claim()
    stage.answer(
        Outcome.failed(F.MAPPING, http_status=201, detail="capture mail: …", captured={"id": "acc7"})
    )
    assert stage.run().status == "failed"
    assert account(stage) == {"id": "acc7"}


def test_a_person_s_word_that_it_was_done_moves_the_run_on_once(stage: Stage) -> None:
    stage.workflow(stage.step(capture={"id": "$.id"}), stage.step("join", path="/{{ account.id }}"))
    stage.grant()
    stage.claim()
    stage.answer(REFUSED)
    done = m.Done("Alice Admin", {"id": "by-hand"}, "made in the other system")
    assert stage.send(done, holder=None, fence=None).applied
    run = stage.run()
    assert (run.status, run.cursor, run.failure_class, run.failure_step) == ("running", "join", None, None)
    assert not stage.send(done, holder=None, fence=None).applied
    assert account(stage) == {"id": "by-hand"}
    [order] = [one.order for one in stage.claim(NOW + timedelta(seconds=1))]
    assert order is not None
    assert order.context["account"] == {"id": "by-hand"}
    assert stage.attempts() == [
        ("create", 1, "failed", "http_4xx"),
        ("create", 2, "submitted", None),
        ("join", 1, "started", None),
    ]
    assert stage.events()[-2:] == ["done_by_hand", "resumed"]


def test_skipped_steps_stand_on_the_timeline_before_what_follows_them(stage: Stage) -> None:
    known, unknown = ([{"value": "{{ account.id }}", "is": op}] for op in ("not_empty", "empty"))
    stage.workflow(
        stage.step("update", only_if=known), stage.step("create", only_if=unknown, capture={"id": "$.id"})
    )
    stage.grant()
    stage.claim()
    stage.answer(Outcome.success(201, {"id": "u-1"}))
    rows = stage.session.scalars(select(Attempt).order_by(Attempt.id)).all()
    assert [(one.step_key, one.status, one.detail) for one in rows] == [
        ("update", "skipped", "Condition not met: “account.id is not empty”."),
        ("create", "succeeded", None),
    ]
    assert stage.run().status == "succeeded"


def test_a_branch_is_written_as_neither_success_nor_failure(stage: Stage) -> None:
    stage.workflow(
        stage.step("look", method="GET", on_status={"404": {"step": "create"}}, on_success="end"),
        stage.step("create"),
    )
    stage.grant()
    stage.claim()
    stage.answer(Outcome.failed(F.HTTP_4XX, http_status=404, branches=True))
    assert stage.attempts() == [("look", 1, "branched", "http_4xx"), ("create", 1, "started", None)]


def test_how_long_a_system_is_asked_again_outlives_the_worker(stage: Stage) -> None:
    poll = {"wait_statuses": [202], "poll": {"every_seconds": 30, "for_seconds": 60}}
    stage.workflow(stage.step("ready", method="GET", retry=poll, success_statuses=[200]))
    stage.grant()
    not_yet = Outcome.failed(F.WAIT, http_status=202)
    now = NOW
    for _ in range(2):
        stage.claim(now)
        moved = stage.answer(not_yet, now)
        run = stage.run()
        assert (run.status, run.tries, run.told_to_wait_at) == ("running", 0, NOW)
        assert moved.due_at is not None
        now = moved.due_at
    stage.claim(now)
    stage.answer(not_yet, now)
    failed = stage.session.scalars(select(Run)).one()
    stage.session.refresh(failed)
    assert (failed.status, failed.failure_class, failed.failure_status) == ("failed", "timeout", 202)
    assert failed.told_to_wait_at is None


@pytest.mark.parametrize(("known", "chip"), [({}, "no_automation"), ({"id": "u-7"}, "deprovisioned")])
def test_a_run_that_did_nothing_is_not_said_to_have_removed_anything(
    stage: Stage, known: dict[str, Any], chip: str
) -> None:
    """As for a grant that was only recorded, and a revoke that removes what is known."""
    only_known = [{"value": "{{ account.id }}", "is": "not_empty"}]
    stage.workflow(stage.step("remove", method="DELETE", only_if=only_known), trigger="access_revoked")
    grant = stage.grant()
    stage.session.scalars(select(ExternalAccount)).one().captured = known
    grants.revoke(stage.session, stage.admin, grant, now=NOW)
    stage.claim()
    if known:
        stage.answer(Outcome.success(204))
    stage.session.expire_all()
    assert (stage.run().status, grant.state) == ("succeeded", chip)
    left = [(one.grant_id, one.why) for one in left_behind(stage.session, now=NOW, limit=5).shown]
    assert left == ([] if known else [(grant.id, "No run: every step was skipped")])


@pytest.mark.parametrize(("known", "found"), [("u-7", "u-7"), (7, "7"), ("7", 7)])
@pytest.mark.parametrize(("state", "status"), [("provisioned", "failed"), ("deprovisioned", "succeeded")])
def test_an_account_that_is_known_as_another_person_s_is_never_taken(
    stage: Stage, known: Any, found: Any, state: str, status: str
) -> None:
    """As after an address went from one person to the next; whose access was taken away has the account no more."""
    bob = make_user(stage.session, email="bob@example.org")
    stage.workflow(stage.step("look", method="GET", capture=SAME | {"mail": "$.mail"}))
    stage.grant(user=bob)
    stage.session.scalars(select(ExternalAccount)).one().captured = {"id": known}
    stage.session.scalars(select(ExternalAccount)).one().state = state
    stage.grant()
    for one in stage.claim():
        if one.run_id == stage.run(0).id:
            stage.answer(REFUSED, run=stage.run(0))
    stage.answer(Outcome.success(200, {"id": found, "mail": "a@x"}), run=stage.run(1))
    run = stage.run(1)
    assert run.status == status
    if status == "failed":
        assert (run.failure_class, run.captured) == ("wrong_account", {})
        assert (
            run.failure_detail
            == "id is known as the account of bob@example.org: nothing more was done with it."
        )


def test_of_two_who_learn_of_one_account_at_once_one_is_believed(stage: Stage) -> None:
    bob = make_user(stage.session, email="bob@example.org")
    stage.workflow(stage.step("look", method="GET", capture=SAME))
    stage.grant()
    stage.grant(user=bob)
    moved = stage.claim()
    answer = Outcome.success(200, {"id": "u-7"})
    moves = [Move(one.run_id, m.Answered("look", 1, answer), one.order.fence) for one in moved if one.order]
    advance(stage.session.connection(), moves, now=NOW, holder=HOLDER)
    assert sorted(stage.run(at).status for at in (0, 1)) == ["failed", "succeeded"]
