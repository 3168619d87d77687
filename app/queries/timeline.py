"""What happened in a run, in order: its attempts, and what people and the system did in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.remedies.failure import Remedy
from app.domain.remedies.links import Where
from app.domain.remedies.remedy import remedy
from app.domain.states import FailureClass, TaskOrigin
from app.domain.steps.registry import Step
from app.domain.workflows.definition import Definition
from app.models import Attempt, AttemptStatus, ManualTask, Run, RunEvent
from app.queries.remedy_facts import RemedyFacts, remedy_facts, token_step
from app.queries.run_words import failure_words, status_words
from app.queries.workflow_versions import ReadVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a timeline: a try of a step, a person's turn, or an event.

    `id` stays the same for as long as the entry exists.  `number` counts the step's tries over the run's
    whole life, `attempt` and `of` those of the present set.  `edge` says where the run went from here.
    `message` is the outcome in a sentence.  `remedy` is given for every failure of a call, `connection_id`
    where the step has one.  `of_grant` names what of the captured values is kept with the grant alone.
    """

    id: str
    at: datetime
    kind: Literal["attempt", "event"]
    message: str
    event: str | None = None
    by: str | None = None
    step: str | None = None
    step_name: str | None = None
    step_number: int | None = None
    step_type: str | None = None
    connection_id: int | None = None
    number: int | None = None
    attempt: int | None = None
    of: int | None = None
    outcome: AttemptStatus | None = None
    http_status: int | None = None
    failure_class: FailureClass | None = None
    outcome_unknown: bool = False
    compensation: bool = False
    finished_at: datetime | None = None
    duration_ms: int | None = None
    edge: str | None = None
    next_attempt_at: datetime | None = None
    method: str | None = None
    host: str | None = None
    path_template: str | None = None
    fields: tuple[str, ...] = ()
    captured: Mapping[str, Any] | None = None
    of_grant: frozenset[str] = frozenset()
    task_id: int | None = None
    task_origin: TaskOrigin | None = None
    due_at: datetime | None = None
    detail: str | None = None
    late_note: str | None = None
    remedy: Remedy | None = None

    def where(self, run: Run) -> Where:
        """What this try of `run` is about: what the addresses of its remedy are made of."""
        return Where(
            run_id=run.id,
            user_id=run.user_id,
            grant_id=run.grant_id,
            workflow_id=run.workflow_id,
            step=self.step,
            connection_id=self.connection_id,
        )


def timeline(session: Session, run: Run, version: ReadVersion) -> list[Entry]:
    """Everything that happened in `run`, oldest first, in at most six statements whatever its length.

    `version` is what the run's version says; one that cannot be read is told of first.
    """
    attempts = session.scalars(select(Attempt).where(Attempt.run_id == run.id).order_by(Attempt.id)).all()
    events = session.scalars(select(RunEvent).where(RunEvent.run_id == run.id).order_by(RunEvent.id)).all()
    tasks: dict[int, ManualTask] = {}
    if any(one.task_id is not None for one in attempts):
        tasks = {
            one.id: one for one in session.scalars(select(ManualTask).where(ManualTask.run_id == run.id))
        }
    facts = remedy_facts(session, run) if any(one.failure_class is not None for one in attempts) else None
    steps = _Steps(version.definition)
    # What happened in one instant is told as it is written: the answer, then what follows from it.
    given_up = _given_up(attempts, steps)
    told = [
        (one.started_at, 0, one.id, _attempt(one, steps, tasks, facts, given_up.get(one.id, "")))
        for one in attempts
    ]
    told += [(one.at, 1, one.id, _event(one)) for one in events]
    if version.problem:
        told.append((run.created_at, -1, 0, _unreadable(run, version.problem)))
    return [entry for *_, entry in sorted(told, key=lambda one: one[:3])]


def last_event(session: Session, run_id: int, kind: str) -> RunEvent | None:
    """The newest event of that kind in the run, or None."""
    return session.scalars(
        select(RunEvent)
        .where(RunEvent.run_id == run_id, RunEvent.kind == kind)
        .order_by(RunEvent.id.desc())
        .limit(1)
    ).one_or_none()


def last_act(session: Session, run_id: int) -> str:
    """Who last moved the run on by hand, and when, as a sentence; "" when nobody did."""
    found = [last_event(session, run_id, kind) for kind in ("done_by_hand", "retried")]
    newest = max((one for one in found if one is not None), key=lambda one: one.id, default=None)
    return f"{newest.message.rstrip('.')}, at {newest.at:%H:%M} UTC." if newest is not None else ""


class _Steps:
    """The steps of the run's version by key, with their places."""

    def __init__(self, definition: Definition) -> None:
        self._known = {step.key: (place, step) for place, step in enumerate(definition.steps, start=1)}

    def place(self, key: str) -> int | None:
        return self._known[key][0] if key in self._known else None

    def step(self, key: str) -> Step | None:
        return self._known[key][1] if key in self._known else None


def _given_up(attempts: Sequence[Attempt], steps: _Steps) -> dict[int, str]:
    """Of each failed try the last step before it that had failed for good and was passed over, by its name."""
    found: dict[int, str] = {}
    passed, failed = "", ""
    for one in attempts:
        if one.status == AttemptStatus.FAILED:
            found[one.id] = passed if passed != one.step_key else ""
            goes_on = (one.edge or "").startswith(("continues anyway", "goes on to"))
            passed, failed = one.step_key if goes_on else passed, one.step_key
        elif one.status == AttemptStatus.SKIPPED and one.step_key == failed:
            passed = failed
        elif one.status in (AttemptStatus.SUCCEEDED, AttemptStatus.SUBMITTED) and one.step_key == passed:
            passed = ""
    return {number: step.name for number, key in found.items() if (step := steps.step(key)) is not None}


def _unreadable(run: Run, problem: str) -> Entry:
    """That the steps of the run's version are not known: they go by their keys in what follows."""
    return Entry(
        id="unreadable", at=run.created_at, kind="event", event="unreadable_version", message=problem
    )


def _event(row: RunEvent) -> Entry:
    return Entry(
        id=f"event-{row.id}", at=row.at, kind="event", event=row.kind, message=row.message, by=row.by
    )


def _attempt(
    row: Attempt, steps: _Steps, tasks: Mapping[int, ManualTask], facts: RemedyFacts | None, given_up: str
) -> Entry:
    step = steps.step(row.step_key)
    task = tasks.get(row.task_id) if row.task_id is not None else None
    failure = FailureClass(row.failure_class) if row.failure_class else None
    connection_id = step.connection_number if step is not None else None
    return Entry(
        id=f"attempt-{row.id}",
        at=row.started_at,
        kind="attempt",
        message=_message(row, task),
        by=task.acted_by if task else None,
        step=row.step_key,
        step_name=step.name if step else row.step_key,
        step_number=steps.place(row.step_key),
        step_type=row.step_type,
        connection_id=connection_id,
        number=row.number,
        attempt=row.tries,
        of=row.of,
        outcome=AttemptStatus(row.status),
        http_status=row.http_status,
        failure_class=failure,
        outcome_unknown=row.outcome_unknown,
        compensation=row.compensation,
        finished_at=row.finished_at,
        duration_ms=row.duration_ms,
        edge=row.edge,
        next_attempt_at=row.next_attempt_at,
        method=row.method,
        host=row.host,
        path_template=row.path_template,
        fields=tuple(row.fields or ()),
        captured=row.captured,
        of_grant=frozenset(one.name for one in step.keeps if one.keep == "grant") if step else frozenset(),
        task_id=row.task_id,
        task_origin=TaskOrigin(task.origin) if task else None,
        due_at=task.due_at if task else None,
        detail=row.detail,
        late_note=row.late_note,
        remedy=remedy(
            facts.failure_of(row, step, failure, given_up=given_up, signs_in=steps.step(token_step(step)))
        )
        if facts and failure
        else None,
    )


def _message(row: Attempt, task: ManualTask | None) -> str:
    status = AttemptStatus(row.status)
    if task is not None:
        return _turn(status, task)
    if status is AttemptStatus.STARTED:
        return "Sent; the answer is awaited."
    if status is AttemptStatus.SUCCEEDED:
        words = _sentence(status_words(row.http_status) or "Succeeded")
        return " ".join(part for part in (words, row.detail) if part)
    if status is AttemptStatus.BRANCHED:
        words = f"{status_words(row.http_status)}: {row.edge}."
        return " ".join(part for part in (words, row.detail) if part)
    if status is AttemptStatus.SKIPPED and row.detail:
        return f"Skipped: {row.detail[0].lower()}{row.detail[1:]}"
    if status is AttemptStatus.SUBMITTED:
        return _sentence(f"Done by hand: {row.detail}")
    words = failure_words(row.failure_class, row.http_status) or status.value.capitalize()
    return " ".join(part for part in (_sentence(words), row.detail) if part)


def _turn(status: AttemptStatus, task: ManualTask) -> str:
    """A person's turn in words."""
    who = f" by {task.acted_by}" if task.acted_by else ""
    reason = f": {task.reason}" if task.reason else ""
    match status:
        case AttemptStatus.WAITING:
            return "Waiting for a person."
        case AttemptStatus.SUBMITTED:
            done = "Done by hand" if task.origin == TaskOrigin.ESCALATED_FAILURE else "Submitted"
            return _sentence(f"{done}{who}")
        case AttemptStatus.SKIPPED:
            return _sentence(f"Skipped{who}{reason}")
        case AttemptStatus.FAILED:
            return _sentence(f"Failed{who}{reason}")
        case AttemptStatus.RETRIED:
            return _sentence(f"Sent again{who}")
        case _:
            return "No longer needed: the run went on or ended without it."


def _sentence(words: str) -> str:
    return words if words.endswith((".", "!", "?", "…")) else f"{words}."
