"""Ways back from a failed run: Retry, one-off values, and the plan that is shown before either."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.connectors.perform import prepare
from app.crypto import KeyRing, bound_to_run
from app.domain.runs import signals as m
from app.domain.runs.calls import Order
from app.domain.states import FailureClass
from app.errors import Conflict, Invalid
from app.extensions import db
from app.models import (
    Application,
    Attempt,
    AuditEvent,
    Base,
    Connection,
    Credential,
    Run,
    RunEvent,
    RunOverride,
)
from app.queries.recovery_plan import Action, Will, overridable_fields, plan
from app.services import grants, recovery, tasks
from app.services.advance import Move, adopt, advance, claim
from app.services.advance.claims import Sent
from app.services.transaction import transaction
from tests.support.factories import add_version, http_step, make_connection
from tests.support.queries.stories import (
    ALICE,
    STATES,
    WORKER,
    Story,
    edge,
    failed,
    ok,
    refused,
    retried,
    with_person,
)

CANARY = "Canary-7f3a9"
F = FailureClass
DOWN = failed(F.HTTP_5XX, http_status=503)
NOT_YET = failed(F.HTTP_5XX, http_status=503)
LOST = failed(F.TIMEOUT, lost=True)


def planned(story: Story, action: Action = Action.RETRY) -> list[tuple[str, str]]:
    return [(one.key, one.will.value) for one in plan(story.session, story.run, action).steps]


def attempts(story: Story) -> list[tuple[str, int, int, str]]:
    rows = story.session.scalars(select(Attempt).where(Attempt.run_id == story.run.id).order_by(Attempt.id))
    return [(one.step_key, one.number, one.tries, one.status) for one in rows]


def overrides_of(story: Story) -> RunOverride | None:
    story.session.expire_all()
    return story.session.get(RunOverride, story.run.id)


def retry_with(story: Story, keyring: KeyRing, **values: Any) -> Story:
    recovery.retry(story.session, ALICE, story.run, overrides=values, keyring=keyring)
    return story.told()


def order(story: Story) -> Order:
    """A worker claims the run: the order that it is given."""
    story.at = max(story.at + timedelta(seconds=1), story.run.due_at or story.at)
    [moved] = claim(story.session.connection(), WORKER, now=story.at, ids=[story.run.id], limit=1)
    story.told()
    assert moved.order is not None
    return moved.order


# Retry


def test_a_retry_goes_on_at_the_failed_step_with_a_fresh_set_of_attempts(session: Session) -> None:
    story = Story(session, lambda c: [http_step("look", c), *retried(c, delay_seconds=0)])
    story.answer(ok(200), NOT_YET, NOT_YET, NOT_YET)
    assert story.run.status == "failed"
    story.retry().answer(NOT_YET, NOT_YET, ok())
    assert story.run.status == "succeeded"
    tried = [(key, number, tries) for key, number, tries, _ in attempts(story)]
    assert tried == [("look", 1, 1), *(("create", n, t) for n, t in enumerate([1, 2, 3, 1, 2, 3], start=1))]


@pytest.mark.parametrize("name", [name for name in STATES if name.startswith(("failed", "outcome unknown"))])
def test_every_failed_run_can_be_retried(session: Session, name: str) -> None:
    story = STATES[name].tell(session)
    before = len(attempts(story))
    story.retry(confirm=True)
    assert story.run.status == "running"
    story.take()
    assert len(attempts(story)) == before + 1


def test_a_run_parked_after_three_deaths_can_be_retried(session: Session) -> None:
    story = Story(session, lambda c: [http_step("put", c, method="PUT")])
    for _ in range(3):
        story.lose_worker()
    assert (story.run.status, story.run.failure_class) == ("failed", "worker_lost")
    story.retry(confirm=True).answer(ok())
    assert story.run.status == "succeeded"


def test_a_failed_compensation_is_retried_as_the_compensation(session: Session) -> None:
    story = Story(session, edge({"compensate": "undo"})).answer(refused(), DOWN)
    assert (story.run.status, story.run.cursor) == ("failed", "undo")
    assert planned(story) == [("create", "skip"), ("undo", "send_again")]
    story.retry().answer(ok(204))
    assert story.run.status == "compensated"


def test_a_run_that_a_person_failed_asks_again(session: Session) -> None:
    story = Story(session, with_person).take().fail("She left")
    assert planned(story) == [("team", "send_again"), ("create", "send")]
    story.retry().take()
    assert story.run.status == "waiting_manual"


@pytest.mark.parametrize(
    "name", [name for name in STATES if not name.startswith(("failed", "outcome unknown"))]
)
def test_a_run_that_has_not_failed_cannot_be_retried_or_replayed(session: Session, name: str) -> None:
    story = STATES[name].tell(session)
    for action in Action:
        shown = plan(session, story.run, action)
        assert not shown.allowed
        assert "only a failed run can be" in shown.reason
    for act in (recovery.retry, recovery.replay):
        with pytest.raises(Conflict, match="only a failed run can be"):
            act(session, ALICE, story.run)


def test_an_unknown_outcome_asks_for_confirmation(session: Session) -> None:
    story = Story(session).answer(ok(200), LOST)
    with pytest.raises(Invalid) as refusal:
        recovery.retry(session, ALICE, story.run)
    assert [one.field for one in refusal.value.errors] == ["confirm_unknown"]
    assert story.retry(confirm=True).run.status == "running"


ANSWERED = [failed(F.MAPPING, http_status=201), failed(F.UNEXPECTED_STATUS, http_status=202)]


@pytest.mark.parametrize("outcome", ANSWERED, ids=["capture", "status"])
def test_a_create_that_was_answered_asks_before_it_is_sent_again(session: Session, outcome: Any) -> None:
    story = Story(session, lambda c: [http_step("create", c)]).answer(outcome)
    shown = plan(session, story.run, Action.RETRY)
    assert f"answered with HTTP {outcome.http_status}, so it was carried out" in shown.confirm
    assert (shown.allowed, shown.advised) == (True, None)
    with pytest.raises(Invalid) as refusal:
        recovery.retry(session, ALICE, story.run)
    assert [(one.field, one.message) for one in refusal.value.errors] == [("confirm_unknown", shown.confirm)]
    assert story.retry(confirm=True).run.status == "running"


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        ({"method": "PUT"}, ANSWERED[0]),
        ({"idempotent": True}, ANSWERED[0]),
        ({}, failed(F.MAPPING)),
        ({}, failed(F.REDIRECT, http_status=302)),
        ({}, failed(F.TIMEOUT, http_status=429)),
        ({}, refused(422)),
    ],
    ids=["put", "harmless", "never sent", "redirect", "not yet", "refused"],
)
def test_what_did_nothing_or_may_be_repeated_is_retried_at_once(
    session: Session, step: dict[str, Any], outcome: Any
) -> None:
    story = Story(session, lambda c: [http_step("create", c, **step)]).answer(outcome)
    assert plan(session, story.run, Action.RETRY).confirm == ""
    assert story.retry().run.status == "running"


def test_a_retry_of_a_stale_run_is_refused_with_the_reason(session: Session) -> None:
    story = Story(session).answer(ok(200), refused())
    # As when the revoke is under way: the run is still there, its intent is not.
    session.execute(
        text("UPDATE grants SET revoked_at = granted_at, revoked_by = 'Bob' WHERE id = :id"),
        {"id": story.grant.id},
    )
    session.expire_all()
    for action in Action:
        shown = plan(session, story.run, action)
        assert not shown.allowed
        assert "Its grant has been revoked." in shown.reason
    for act in (recovery.retry, recovery.replay):
        with pytest.raises(Invalid, match=r"was overtaken: Its grant has been revoked\."):
            act(session, ALICE, story.run)


def test_a_run_that_ended_as_superseded_says_why(session: Session) -> None:
    story = Story(session).answer(ok(200), refused())
    grants.revoke(session, ALICE, story.grant, now=story.at)
    session.flush()
    session.expire_all()
    assert story.run.status == "superseded"
    why = rf"Run {story.run.id} is superseded \(its grant has been revoked\): only a failed run can be"
    for action in Action:
        assert re.match(why, plan(session, story.run, action).reason)
    for act in (recovery.retry, recovery.replay):
        with pytest.raises(Conflict, match=why):
            act(session, ALICE, story.run)


def test_a_retry_of_a_replaced_run_is_refused_naming_the_newer_run(session: Session) -> None:
    story = Story(session).answer(ok(200), refused())
    newer = recovery.replay(session, ALICE, story.run)
    with pytest.raises(Conflict, match=f"Run {newer.id} has replaced this one") as refusal:
        recovery.retry(session, ALICE, story.run)
    assert refusal.value.context == {"run_id": newer.id}


def test_a_retry_is_told_on_the_timeline_and_audited(session: Session) -> None:
    story = Story(session).answer(ok(200), refused()).retry()
    events = session.scalars(select(RunEvent).where(RunEvent.run_id == story.run.id)).all()
    assert [(one.kind, one.by) for one in events] == [("retried", "Alice Admin")]
    assert "run.retry" in session.scalars(select(AuditEvent.action)).all()


# The plan


def test_the_plan_of_a_retry_skips_what_was_done_and_follows_the_success_edges(session: Session) -> None:
    def steps(c: int) -> list[dict[str, Any]]:
        return [
            http_step("look", c, on_success={"step": "create"}),
            http_step("never", c, name="Passed over"),
            http_step("create", c, on_failure={"step": "repair"}),
            http_step("tell", c, on_success="end"),
            http_step("repair", c),
        ]

    story = Story(session, steps).answer(ok(200), refused(), refused())
    assert story.run.cursor == "repair"
    assert planned(story) == [("look", "skip"), ("create", "skip"), ("repair", "send_again")]


def test_a_step_whose_call_never_left_is_sent_and_not_sent_again(session: Session) -> None:
    story = Story(session).answer(ok(200), failed(F.EGRESS_BLOCKED))
    assert planned(story) == [("lookup", "skip"), ("create", "send")]


def test_the_plan_says_when_the_same_request_would_be_refused_again(session: Session) -> None:
    story = Story(session, lambda c: [http_step("create", c)])
    story.connection.config = story.connection.config | {"auth": "none"}
    story.answer(refused(422))
    shown = plan(session, story.run, Action.RETRY)
    assert shown.repeats
    assert shown.note == (
        "Nothing has changed since the system refused this with HTTP 422: the same request would be sent again."
    )
    story.connection.changed_at = story.run.finished_at + timedelta(seconds=1)
    assert not plan(session, story.run, Action.RETRY).repeats


def test_a_credential_entered_or_removed_since_makes_another_request(session: Session) -> None:
    story = Story(session).answer(ok(200), refused())
    assert not plan(session, story.run, Action.RETRY).repeats  # there was one, and it was removed
    at = story.run.finished_at
    assert at is not None
    sealed = {"sealed": "x", "key_id": "k", "set_by": "Alice"}
    credential = Credential(connection_id=story.connection.id, set_at=at - timedelta(days=1), **sealed)
    session.add(credential)
    assert plan(session, story.run, Action.RETRY).repeats
    credential.set_at = at + timedelta(seconds=1)
    assert not plan(session, story.run, Action.RETRY).repeats


def test_a_webhook_s_signing_secret_that_was_removed_makes_another_request_as_well(session: Session) -> None:
    def steps(c: int) -> list[dict[str, Any]]:
        application = session.get_one(Application, session.get_one(Connection, c).application_id)
        hook = make_connection(
            session, application, type="webhook", config={"url": "https://hook.example/in"}
        )
        return [{"key": "tell", "type": "webhook", "connection_id": str(hook.id)}]

    story = Story(session, steps)
    story.answer(refused(422))
    assert not plan(session, story.run, Action.RETRY).repeats  # there was one, and it was removed


def test_what_was_mended_since_is_told_and_decides_what_is_advised(session: Session) -> None:
    story = Story(session).answer(ok(200), refused())
    assert plan(session, story.run, Action.RETRY).advised is None  # the credential is still missing
    at = story.run.finished_at
    assert at is not None
    sealed = {"sealed": "x", "key_id": "k", "set_by": "Alice"}
    later = at + timedelta(seconds=1)
    session.add(Credential(connection_id=story.connection.id, set_at=later, **sealed))
    shown = plan(session, story.run, Action.RETRY)
    assert (shown.advised, shown.note) == (
        "retry",
        "The credential was changed after this run failed: Retry uses it as it is now.",
    )
    edited = Story(session).answer(refused(422))
    assert plan(session, edited.run, Action.RETRY).advised is None
    _another_version(edited)
    assert plan(session, edited.run, Action.RETRY).advised == "replay"


def test_a_transient_failure_says_nothing_of_the_kind(session: Session) -> None:
    assert not plan(session, Story(session).answer(ok(200), DOWN).run, Action.RETRY).repeats


def test_a_newer_version_is_told_with_its_differences(session: Session) -> None:
    story = Story(session).answer(ok(200), refused())
    steps = [
        http_step("lookup", story.connection.id, name="Look up the account", method="GET", path="/People"),
        http_step("create", story.connection.id, name="Create the account"),
    ]
    steps[0].pop("body")
    add_version(session, story.workflow, *steps)
    retry, replay = (plan(session, story.run, one) for one in (Action.RETRY, Action.REPLAY))
    assert retry.note.startswith("Retry stays on version 1. Replay with latest would use version 2.")
    assert replay.note == "The fresh run uses version 2; this one used 1."
    words = ["“Look up the account”: path changed from /Users to /People."]
    assert [one.words for one in retry.changes] == [one.words for one in replay.changes] == words


def _another_version(story: Story) -> None:
    add_version(story.session, story.workflow, http_step("create", story.connection.id, path="/People"))


def _connection_changed(story: Story) -> None:
    story.connection.changed_at += timedelta(seconds=1)


def _credential_set(story: Story) -> None:
    sealed = {"sealed": "x", "key_id": "k", "set_by": "Alice", "set_at": story.at}
    story.session.add(Credential(connection_id=story.connection.id, **sealed))


def _expiry_changed(story: Story) -> None:
    story.grant.expires_at = story.at + timedelta(days=900)


def _person_changed(story: Story) -> None:
    story.person.email = "new@example.org"


def _disabled(story: Story) -> None:
    story.workflow.is_enabled = False


def _run_moved(story: Story) -> None:
    story.run.revision += 1


@pytest.mark.parametrize(
    "change",
    [
        _another_version,
        _connection_changed,
        _credential_set,
        _expiry_changed,
        _person_changed,
        _disabled,
        _run_moved,
    ],
)
def test_a_token_refuses_when_anything_it_was_made_from_has_changed(
    session: Session, change: Callable[[Story], None]
) -> None:
    story = Story(session).answer(ok(200), refused())
    tokens = {action: plan(session, story.run, action).token for action in Action}
    change(story)
    session.flush()
    for action, act in ((Action.RETRY, recovery.retry), (Action.REPLAY, recovery.replay)):
        with pytest.raises(Conflict, match="Something changed since this plan was shown"):
            act(session, ALICE, story.run, token=tokens[action])
        assert plan(session, story.run, action).token != tokens[action]


@pytest.mark.parametrize("act", [recovery.retry, recovery.replay])
def test_a_token_that_still_stands_lets_it_through(session: Session, act: Callable[..., Run]) -> None:
    story = Story(session).answer(ok(200), refused())
    token = plan(session, story.run, Action(act.__name__)).token
    assert act(session, ALICE, story.run, token=token).status in ("running", "queued")


# One-off values


def test_one_off_values_are_used_by_the_next_try_and_no_other(session: Session, keyring: KeyRing) -> None:
    story = Story(session).answer(ok(200), refused(422))
    retry_with(story, keyring, userName=CANARY)
    first = order(story)
    values = json.loads(keyring.open(first.sealed_overrides or "", bound_to_run(story.run.id)).reveal())
    assert json.loads(prepare(first, values).body or b"") == {"userName": CANARY}
    story.answer(refused(422)).retry()
    second = order(story)
    assert second.sealed_overrides is None
    assert json.loads(prepare(second).body or b"") == {"userName": story.person.email}


def test_they_are_sealed_until_they_are_handed_out_and_erased_then(
    session: Session, keyring: KeyRing
) -> None:
    story = Story(session).answer(ok(200), refused(422))
    retry_with(story, keyring, userName=CANARY)
    kept = overrides_of(story)
    assert kept is not None
    assert kept.sealed
    assert CANARY not in kept.sealed
    assert kept.fields == ["userName"]
    order(story)
    kept = overrides_of(story)
    assert kept is not None
    assert (kept.sealed, kept.fields) == (None, ["userName"])


def test_only_their_names_are_recorded(session: Session, keyring: KeyRing) -> None:
    story = Story(session).answer(ok(200), refused(422))
    retry_with(story, keyring, userName=CANARY)
    events = session.scalars(select(RunEvent.message).where(RunEvent.kind == "overrides")).all()
    assert events == ["With one-off values for userName."]
    audit = session.scalars(select(AuditEvent).where(AuditEvent.action == "run.retry")).one()
    assert audit.changes == {"overrides": [None, "userName"]}
    story.answer(ok())
    everything = [
        str(row) for table in Base.metadata.sorted_tables for row in session.execute(select(table)).all()
    ]
    assert any("userName" in one for one in everything)
    assert not any(CANARY in one for one in everything)


def test_their_values_are_nowhere_in_the_bytes_of_the_database(only_sqlite: Flask, keyring: KeyRing) -> None:
    with only_sqlite.app_context():
        story = Story(db.session()).answer(ok(200), refused(422))
        retry_with(story, keyring, userName=CANARY).answer(ok())
        file = Path(db.engine.url.database or "")
        raw = b"".join(one.read_bytes() for one in file.parent.glob(f"{file.name}*"))
    assert b"userName" in raw
    assert CANARY.encode() not in raw


@pytest.mark.parametrize("outcome", [DOWN, LOST], ids=["answered 503", "lost"])
def test_a_transient_failure_is_not_tried_again_without_them(
    session: Session, keyring: KeyRing, outcome: Any
) -> None:
    story = Story(session, retried).answer(refused(422))
    retry_with(story, keyring, userName=CANARY).answer(outcome)
    assert story.run.status == "failed"
    assert len(attempts(story)) == 2


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_dead_worker_s_try_is_not_sent_again_without_them(
    session: Session, keyring: KeyRing, method: str
) -> None:
    story = Story(session, lambda c: [http_step("create", c, method=method)]).answer(refused(422))
    retry_with(story, keyring, userName=CANARY).take().lose_worker()
    assert story.run.status == "failed"
    assert len(attempts(story)) == 2
    told = session.scalars(select(RunEvent.message).where(RunEvent.kind == "recovered")).one()
    assert "one-off values are gone" in told


def test_a_claim_whose_reply_was_lost_orders_nothing_without_them(session: Session, keyring: KeyRing) -> None:
    story = Story(session).answer(ok(200), refused(422))
    retry_with(story, keyring, userName=CANARY).take()
    run = story.run
    assert run.cursor is not None
    in_doubt = {run.id: Sent(run.fence, run.cursor, run.attempt)}
    assert adopt(session.connection(), WORKER, now=story.at, in_doubt=in_doubt) == []


def test_an_ordinary_retry_forgets_those_that_were_never_used(session: Session, keyring: KeyRing) -> None:
    story = Story(session).answer(ok(200), refused(422))
    retry_with(story, keyring, userName=CANARY).answer(DOWN).retry()
    assert overrides_of(story) is None
    assert order(story).sealed_overrides is None


def test_trying_again_from_the_task_is_an_ordinary_try(session: Session, keyring: KeyRing) -> None:
    def steps(c: int) -> list[dict[str, Any]]:
        return [one | {"on_failure": "escalate"} for one in retried(c, delay_seconds=0)]

    story = Story(session, steps)
    story.answer(refused(422)).fail("Another day")
    retry_with(story, keyring, userName=CANARY).answer(DOWN)
    assert story.run.status == "waiting_manual"
    tasks.try_again(session, ALICE, story.task())
    story.told().answer(DOWN, DOWN)
    assert story.run.status == "running"  # three tries again, as the step says


@pytest.mark.parametrize("end", ["cancelled", "superseded"])
def test_values_that_are_never_used_are_erased_when_the_run_ends(
    session: Session, keyring: KeyRing, end: str
) -> None:
    story = Story(session).answer(ok(200), refused(422))
    retry_with(story, keyring, userName=CANARY)
    if end == "cancelled":
        story.cancel()
    else:
        story.revoke()
        claim(session.connection(), WORKER, now=story.run.due_at or story.at, ids=[story.run.id], limit=1)
        story.told()
    assert story.run.status == end
    assert overrides_of(story) is None


def test_values_given_twice_are_those_of_the_second_time(session: Session, keyring: KeyRing) -> None:
    story = Story(session).answer(ok(200), refused(422))
    retry_with(story, keyring, userName="first").answer(refused(422))
    retry_with(story, keyring, userName="second")
    sealed = order(story).sealed_overrides or ""
    assert "second" in keyring.open(sealed, bound_to_run(story.run.id)).reveal()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"nickname": "x"}, "maps no such field. It maps: userName."),
        ({"userName": {"a": 1}}, "single value"),
        ({"userName": ["a"]}, "single value"),
        ({"userName": "x" * 2001}, "2,000 characters"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_and_nothing_is_kept(
    session: Session, keyring: KeyRing, values: dict[str, Any], says: str
) -> None:
    story = Story(session).answer(ok(200), refused(422))
    with pytest.raises(Invalid) as refusal:
        recovery.retry(session, ALICE, story.run, overrides=values, keyring=keyring)
    [error] = refusal.value.errors
    assert error.field == f"overrides.{next(iter(values))}"
    assert says in error.message
    session.rollback()
    assert overrides_of(story) is None
    assert story.run.status == "failed"


def test_a_step_that_asks_a_person_has_nothing_to_override(session: Session, keyring: KeyRing) -> None:
    story = Story(session, with_person).take().fail("She left")
    assert overridable_fields(session, story.run) == []
    with pytest.raises(Invalid, match="asks a person"):
        recovery.retry(session, ALICE, story.run, overrides={"team": "Red"}, keyring=keyring)


# Races


@pytest.mark.parametrize("pair", [("retry", "retry"), ("replay", "replay"), ("retry", "replay")])
def test_of_two_people_at_once_one_is_taken(app: Flask, keyring: KeyRing, pair: tuple[str, str]) -> None:
    with app.app_context():
        story = Story(db.session()).answer(ok(200), refused())
        run_id = story.run.id
        db.session.remove()
    start, results = threading.Barrier(2), []

    def act(verb: str) -> None:
        with app.app_context():
            start.wait()
            try:
                with transaction() as session:
                    run = session.get_one(Run, run_id)
                    options = {"overrides": {"userName": "x"}, "keyring": keyring} if verb == "retry" else {}
                    getattr(recovery, verb)(session, ALICE, run, **options)
                results.append("done")
            except Conflict:
                results.append("refused")
            finally:
                db.session.remove()

    threads = [threading.Thread(target=act, args=(verb,)) for verb in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["done", "refused"]
    with app.app_context():
        session = db.session()
        retried_times = session.scalar(select(func.count()).where(RunEvent.kind == "retried")) or 0
        new_runs = (session.scalar(select(func.count()).select_from(Run)) or 0) - 1
        assert retried_times + new_runs == 1


def test_a_run_that_somebody_else_is_just_moving_is_not_waited_for(session: Session) -> None:
    story = Story(session).answer(ok(200), refused())
    assert Will.SKIP in [one.will for one in plan(session, story.run, Action.RETRY).steps]
    signal = Move(story.run.id, m.Retry("Bob"))
    [moved] = advance(session.connection(), [signal], now=story.at)
    assert moved.applied
    with pytest.raises(Conflict, match="is running: only a failed run"):
        recovery.retry(session, ALICE, story.run)
