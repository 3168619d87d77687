"""What a way back from a failed run would do, shown before it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.connectors.types.table import needs_credential
from app.domain.remedies.advice import Way, advised_way
from app.domain.states import FailureClass
from app.domain.steps.registry import Step
from app.domain.workflows.definition import Definition
from app.domain.workflows.diff import Change, diff_definitions
from app.domain.workflows.graph import onwards, success_target
from app.errors import Conflict
from app.models import Connection, Credential, Grant, Run, User, Workflow
from app.queries.replay import Pasts, pasts
from app.queries.run_rules import (
    Refusal,
    confirmation,
    done_refusal,
    failed_steps,
    retry_refusal,
    stale_reason_of,
    stands,
)


class Action(StrEnum):  # its name stands in the OpenAPI document
    RETRY = "retry"
    REPLAY = "replay"
    DONE = "done"


class Will(StrEnum):
    """What a way back would do with a step."""

    SKIP = "skip"
    SEND = "send"
    SEND_AGAIN = "send_again"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class PlannedStep:
    key: str
    name: str
    calls_out: bool
    will: Will


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """What would happen. `reason` says why it is not allowed; `note` what to know before doing it.

    `steps` are those that were done and those that come next when each succeeds.  `token` stands for the state
    of things that the plan was made from.  `repeats`: nothing that could change the request has changed.
    `advised` is the way back that fits what was mended since, None while nothing was.  `confirm` says what Retry
    asks to be confirmed first, "" when nothing.
    """

    action: Action
    allowed: bool
    reason: str
    note: str
    repeats: bool
    steps: list[PlannedStep]
    changes: list[Change]
    newest_version: int
    token: str
    advised: Way | None
    confirm: str


@dataclass(frozen=True, slots=True)
class _Mended:
    """What has changed about the failed step's connection since the run failed.

    `removed`: the credential that was refused is there no more, which changes the request and mends nothing.
    """

    connection: bool = False
    credential: bool = False
    removed: bool = False

    def __bool__(self) -> bool:
        return self.connection or self.credential


def plan(session: Session, run: Run, action: Action) -> RecoveryPlan:
    """What `action` on this run would do now; a bounded number of statements."""
    seen = _Seen(session, run)
    refusal = seen.refusal(action)
    mended = _mended_since(session, run, seen.pinned)
    same = action is not Action.DONE and run.failure_class == FailureClass.HTTP_4XX
    same = same and not (mended or mended.removed)
    if action is Action.REPLAY:
        same = same and seen.workflow.version_id == run.version_id
    steps = {
        Action.RETRY: seen.retry_steps,
        Action.REPLAY: seen.replay_steps,
        Action.DONE: seen.steps_after,
    }[action]()
    return RecoveryPlan(
        action=action,
        allowed=refusal is None,
        reason=refusal.message if refusal else "",
        note=_note(run, seen.workflow, action, mended, same=same),
        repeats=same,
        steps=list(steps),
        changes=diff_definitions(seen.pinned, seen.newest),
        newest_version=seen.workflow.version_number,
        token=seen.token(),
        advised=advised_way(
            FailureClass(run.failure_class) if run.failure_class else None,
            run.failure_status,
            mended=bool(mended),
            newer=seen.workflow.version_id != run.version_id,
            may_retry=seen.refusal(Action.RETRY) is None and not stands(run, seen.failed),
            may_replay=seen.refusal(Action.REPLAY) is None,
        ),
        confirm=confirmation(run, seen.failed) if action is Action.RETRY else "",
    )


def check(session: Session, run: Run, action: Action, token: str | None) -> None:
    """Raise why `action` cannot be taken on the run as it is now, which the caller has locked.

    `token` is a plan's; Conflict when it no longer stands for how things are, None is not checked.
    """
    seen = _Seen(session, run)
    refusal = seen.refusal(action)
    if isinstance(refusal, Conflict):
        raise refusal  # that somebody was faster says more than that something changed
    if token is not None and token != seen.token():
        raise Conflict("Something changed since this plan was shown. Look at the new plan, then decide.")
    if refusal is not None:
        raise refusal


def overridable_fields(session: Session, run: Run) -> list[str]:
    """The fields of the failed step that one-off values may be given for; none for a step that asks a person."""
    step = failed_steps(session, [run])[run.id]
    return [] if step is None else step.overridable()


class _Seen:
    """A run with all that its ways back depend on."""

    def __init__(self, session: Session, run: Run) -> None:
        self.session, self.run = session, run
        known: Pasts = pasts(session, [run])
        self.known, self.past = known, known.of(run)
        self.workflow: Workflow = known.workflows[run.workflow_id]
        self.version = known.versions[run.version_id]
        self.pinned, self.newest = self.version.definition, known.newest(run).definition
        self.failed = self.version.step(run.cursor)
        self.stale = stale_reason_of(session, run)

    def refusal(self, action: Action) -> Refusal | None:
        if action is Action.REPLAY:
            return self.known.refusal(self.run, self.stale)
        newer = self.past.after(self.run)
        refusal = retry_refusal if action is Action.RETRY else done_refusal
        return refusal(self.run, newer=newer, stale=self.stale, unreadable=self.version.problem)

    def retry_steps(self) -> Iterator[PlannedStep]:
        """The steps that were tried, then the failed one, then those that follow when each succeeds."""
        run = self.run
        sent = {one.step_key for _, one in self.past.sent() if one.run_id == run.id}
        yield from self._tried(but=run.cursor)
        for step in onwards(self.pinned, run.cursor):
            again = step.key == run.cursor and (step.key in sent or not step.calls_out)
            yield _planned(step, Will.SEND_AGAIN if again else Will.SEND)

    def steps_after(self) -> Iterator[PlannedStep]:
        """The steps that were tried, the failed one with them, then those that follow when each succeeds."""
        yield from self._tried()
        if self.failed is not None and not self.run.compensating:
            for step in onwards(self.pinned, success_target(self.pinned, self.failed)):
                yield _planned(step, Will.SEND)

    def _tried(self, *, but: str | None = None) -> Iterator[PlannedStep]:
        """What is not repeated."""
        tried = {one.step_key for _, one in self.past.tries if one.run_id == self.run.id}
        for step in self.pinned.steps:
            if step.key in tried and step.key != but:
                yield _planned(step, Will.SKIP)

    def replay_steps(self) -> Iterator[PlannedStep]:
        """The newest version's steps when each succeeds, against what the event's runs have sent."""
        for step in onwards(self.newest, self.newest.first):
            if self._was_sent(step):
                yield _planned(step, Will.SEND_AGAIN)
            else:
                yield _planned(step, Will.SEND if step.key in self.pinned else Will.NEW)

    def _was_sent(self, step: Step) -> bool:
        if not step.calls_out:
            return any(one.step_key == step.key for _, one in self.past.tries)
        return any(step.same_call(other) for other, _ in self.past.sent())

    def token(self) -> str:
        """Stands for everything that a plan was made from: when any of it changes, so does the token."""
        run, workflow = self.run, self.workflow
        ids = _connection_ids(self.pinned) | _connection_ids(self.newest)
        connections = self.session.execute(
            select(Connection.id, Connection.changed_at, Credential.set_at)
            .join(Credential, Credential.connection_id == Connection.id, isouter=True)
            .where(Connection.id.in_(ids))
            .order_by(Connection.id)
        ).all()
        person = (User.email, User.first_name, User.last_name, User.username, User.employee_id)
        about = self.session.execute(
            select(Grant.revoked_at, Grant.expires_at, *person)
            .join(User, User.id == Grant.user_id)
            .where(Grant.id == run.grant_id)
        ).one()
        state = [
            [run.id, run.status, run.revision, self.past.after(run), self.stale],
            [workflow.version_id, workflow.is_enabled, str(workflow.deleted_at)],
            [[str(part) for part in row] for row in (*connections, about)],
        ]
        return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:32]


def _planned(step: Step, will: Will) -> PlannedStep:
    return PlannedStep(step.key, step.name, step.calls_out, will)


def _mended_since(session: Session, run: Run, pinned: Definition) -> _Mended:
    """What on this side could make another request of the failed one, and has changed since it failed."""
    failed = [one for one in pinned.steps if one.key == run.cursor]
    found = session.execute(
        select(Connection.type, Connection.config, Connection.changed_at, Credential.set_at)
        .join(Credential, Credential.connection_id == Connection.id, isouter=True)
        .where(Connection.id.in_(_connection_ids(Definition(tuple(failed)))))
    ).one_or_none()
    if run.finished_at is None or (found is None and not _connection_ids(Definition(tuple(failed)))):
        return _Mended()
    if found is None:
        return _Mended(removed=True)  # with the connection
    # That a system refused it says that there was one, where one is wanted.
    removed = found.set_at is None and needs_credential(found)
    replaced = found.set_at is not None and found.set_at > run.finished_at
    return _Mended(found.changed_at > run.finished_at, replaced, removed)


def _note(run: Run, workflow: Workflow, action: Action, mended: _Mended, *, same: bool) -> str:
    notes = []
    if action is Action.RETRY and mended:
        what = "credential" if mended.credential else "connection"
        notes.append(f"The {what} was changed after this run failed: Retry uses it as it is now.")
    if same:
        notes.append(
            f"Nothing has changed since the system refused this with HTTP {run.failure_status}: "
            "the same request would be sent again."
        )
    is_newest = workflow.version_id == run.version_id
    if action is Action.RETRY and not is_newest:
        notes.append(
            f"Retry stays on version {run.version_number}. "
            f"Replay with latest would use version {workflow.version_number}."
        )
    if action is Action.REPLAY and is_newest and not same:
        notes.append(
            f"Version {run.version_number} is the newest, so a fresh run sends the same requests. "
            "Retry goes on at the failed step instead."
        )
    if action is Action.REPLAY and not is_newest:
        notes.append(
            f"The fresh run uses version {workflow.version_number}; this one used {run.version_number}."
        )
    return " ".join(notes)


def _connection_ids(definition: Definition) -> set[int]:
    return {one.connection_number for one in definition.steps if one.connection_number is not None}
