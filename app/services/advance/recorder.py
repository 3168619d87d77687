"""One run's events, turned into the rows of its timeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.grants.state import CANCELLED, SKIPPED, GrantState, grant_state
from app.domain.mapping.context import context_for
from app.domain.runs import signals as m
from app.domain.runs.run import Run as EngineRun
from app.domain.states import RunStatus, Trigger
from app.domain.steps.registry import AnyCall
from app.models import AttemptStatus
from app.queries.run_facts import Loaded
from app.queries.situation import SUPERSEDABLE
from app.services.advance.bulk_statements import Values
from app.services.advance.entries import NO_ANSWER, entry, failure_story, task_row
from app.services.advance.write_plan import WritePlan

_CLEAR_STORY: Values = {
    "failure_step": None,
    "failure_connection_id": None,
    "failure_class": None,
    "failure_status": None,
    "failure_detail": None,
}


@dataclass(slots=True)
class Call:
    """A try that was decided on; its connection is looked up for all runs at once. `row` None: it is written."""

    step: AnyCall
    attempt: int
    row: Values | None
    sealed_overrides: str | None = None


class Recorder:
    """Gathers what one run's events mean for its rows."""

    def __init__(self, loaded: Loaded, plan: WritePlan, worker: str | None) -> None:
        self.loaded = loaded
        self.plan = plan
        self.worker = worker
        self.call: Call | None = None
        self.frees_lane = False
        self.stops_here = False
        self.waits_for: int | None = None
        self.fence = loaded.row.fence
        self.captured: dict[str, Any] = dict(loaded.row.captured)
        self.account: dict[str, Any] = dict(loaded.row.account or {})
        self.kept: dict[str, Any] = dict(loaded.row.kept)
        self._made: dict[str, int] = dict(loaded.row.attempts_made)
        self._statuses = [loaded.run.status]
        # What this move adds to the account: another run of the pair may be adding something of its own.
        self._learnt: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        self._did_nothing = not loaded.row.attempts_made
        self._story: Values | None = None
        self._cancelled_by: str | None = loaded.row.cancel_requested_by

    @property
    def _keeper(self) -> str | None:
        """Who has the run in hand while it is in flight: a person who moves it takes it from nobody."""
        return self.worker or self.loaded.row.worker

    @property
    def run_id(self) -> int:
        return int(self.loaded.row.id)

    def context(self) -> dict[str, Any]:
        """What the run's templates are filled from, now."""
        return context_for(self.loaded.subject(self.captured, self.account, self.kept))

    def record(self, event: m.Event, run: EngineRun, move: Any) -> None:  # noqa: C901, PLR0912  # one plain case a kind
        """Note `event`; `run` is the run after it."""
        if run.status is not self._statuses[-1]:
            self._statuses.append(run.status)
        if isinstance(event, m.AttemptStarted | m.TaskOpened | m.StepDone):
            self._did_nothing = False
        match event:
            case m.AttemptStarted():
                self._attempt_started(event, run)
            case m.AttemptEnded():
                self._attempt_ended(event, move.duration_ms)
            case m.StepCaptured(step=step, values=values, answered=answered):
                before = {} if answered else self.captured.get(step, {})
                if values or step in self.captured:
                    self.captured = {**self.captured, step: {**before, **values}}
                account, kept = self.loaded.run.definition.kept(step, values)
                self.account, self._learnt = {**self.account, **account}, {**self._learnt, **account}
                self.kept, self._kept = {**self.kept, **kept}, {**self._kept, **kept}
            case m.StepSkipped():
                self._step_passed(event, run, AttemptStatus.SKIPPED, detail=event.why)
            case m.StepDone():
                self._step_passed(
                    event,
                    run,
                    AttemptStatus.SUBMITTED,
                    detail=event.reason,
                    captured=dict(event.values) or None,
                )
                self.plan.event(self.run_id, "done_by_hand", f"{event.by} said that it was done.", event.by)
                self._tell(dict(_CLEAR_STORY))
            case m.StepFailed(step=step, outcome=outcome):
                self._tell(failure_story(step, self.loaded.step(step), outcome))
            case m.TaskOpened():
                self._task_opened(event, run)
            case m.TaskClosed():
                self._task_closed(event)
            case m.ConnectionAwaited(connection=connection):
                self.waits_for = int(connection)
            case m.RunResumed(by=by):
                self.plan.event(self.run_id, "resumed", f"Resumed by {by}.", by)
            case m.RetryRequested(by=by):
                self.plan.event(self.run_id, "retried", f"Retried by {by}.", by)
                self._tell(dict(_CLEAR_STORY))
            case m.WorkerDied():
                gone = " The one-off values are gone: give them again." if run.one_off else ""
                self.plan.event(self.run_id, "recovered", f"Recovered after its worker died.{gone}")
            case m.CancelRequested(by=by, reason=reason):
                self.plan.event(self.run_id, "cancel_requested", f"Cancel asked for by {by}: {reason}", by)
                self._cancelled_by = by
                self._tell({"cancel_reason": reason})
            case m.RunEnded(status=status, why=why):
                self._run_ended(status, why, run, move)
            case _:
                pass

    def note_late(self, signal: m.Signal) -> None:
        """An answer came after the run was given to another worker: keep it as a note, move nothing."""
        if isinstance(signal, m.Answered) and not signal.outcome.ours:
            outcome = signal.outcome
            what = f"HTTP {outcome.http_status}" if outcome.http_status else "a failure"
            note = f"An answer ({what}) came after the run had been taken over."
            self.plan.late.append(
                {"b_run": self.run_id, "b_step": signal.step, "b_number": signal.attempt, "late_note": note}
            )

    def resume(self, run: EngineRun) -> None:
        """Order the call that the run stands at once more: it was written as started, but never left.

        One that was to go out with one-off values is not: they were erased when they were handed out.
        """
        if run.one_off:
            return
        assert run.cursor is not None
        step = run.definition.step(run.cursor).call
        assert step is not None
        self.call = Call(step, run.attempt, None)

    def finish(
        self, run: EngineRun, *, due_at: datetime | None, lease_until: datetime | None, fence: int
    ) -> None:
        """Write the run itself, and the grant's chip when it changed."""
        row, now = self.loaded.row, self.plan.now
        self.fence = fence
        # A run in backoff keeps its lane; one that comes back from a person or a failure has yet to take it.
        holds_lane = run.in_flight or (run.status is RunStatus.RUNNING and bool(row.holds_lane))
        if self.waits_for is not None:
            holds_lane = True
            self._tell({"let_through_id": None})
        self.frees_lane = not run.status.moves_by_itself
        self.stops_here = run.status in SUPERSEDABLE and not run.in_flight
        if row.override_step is not None and not (run.in_flight or run.status.moves_by_itself):
            # The try that they were given for is over, or is never made.
            self.plan.spent_overrides.append(row.id)
        for before, after in zip(self._statuses[:-2], self._statuses[1:-1], strict=True):
            # Nobody sees it there, but while it moves a row says when it is due.
            due = now if after.moves_by_itself else None
            self.plan.hops.append({"b_id": row.id, "b_from": before, "b_to": after, "b_due": due})
        self.plan.runs.append(
            {
                "b_id": row.id,
                "b_from": self._statuses[-2] if len(self._statuses) > 1 else self._statuses[0],
                "status": run.status,
                "cursor": run.cursor,
                "attempt": run.attempt,
                "tries": run.tries,
                "deaths": run.deaths,
                "in_flight": run.in_flight,
                "compensating": run.compensating,
                "task_origin": run.task,
                "failure_ignored": run.failure_ignored,
                "outcome_unknown": run.unknown,
                "captured": self.captured,
                "attempts_made": self._made,
                "due_at": due_at,
                "lease_until": lease_until,
                "worker": self._keeper if run.in_flight else None,
                "fence": fence,
                "holds_lane": holds_lane,
                # Whatever else moves a run ends its wait for a connection.
                "waits_for_id": self.waits_for,
                "waits_since": now if self.waits_for is not None else None,
                "told_to_wait_at": run.told_to_wait_at if run.status is RunStatus.RUNNING else None,
                "cancel_requested_by": self._cancelled_by,
                "started_at": row.started_at or (None if run.status is RunStatus.QUEUED else now),
                "finished_at": None if run.status.is_open else now,
                "changed_at": now,
            }
        )
        if self._story is not None:
            self.plan.stories.append({"b_id": row.id, **self._story})
        self._write_grant_state(run)
        self._write_account(run)

    def _attempt_started(self, event: m.AttemptStarted, run: EngineRun) -> None:
        step = run.definition.step(event.step).call
        assert step is not None
        self._made[event.step] = event.attempt
        row: Values = {
            **entry(self.run_id, self.plan.now, event.step, event.attempt, AttemptStatus.STARTED),
            "step_type": step.type.value,
            "tries": event.tries,
            "of": event.of,
            "compensation": run.compensating,
            "method": step.method,
            "path_template": step.path_template,
            "fields": step.mapped,
            "worker": self.worker,
        }
        self.call = Call(step, event.attempt, row, self._used_overrides(run))

    def _used_overrides(self, run: EngineRun) -> str | None:
        """The one-off values for this try, which are erased in the transaction that uses them."""
        sealed: str | None = self.loaded.row.override_sealed
        if not run.one_off or sealed is None:
            return None
        self.plan.used_overrides.append(self.run_id)
        return sealed

    def _attempt_ended(self, event: m.AttemptEnded, duration_ms: int | None) -> None:
        outcome = event.outcome
        self.plan.ended.append(
            {
                "b_run": self.run_id,
                "b_step": event.step,
                "b_number": event.attempt,
                "b_from": AttemptStatus.STARTED,
                "status": _attempt_status(event),
                "failure_class": outcome.failure,
                "http_status": outcome.http_status,
                "outcome_unknown": event.unknown,
                "edge": event.edge,
                "detail": outcome.detail or None,
                "next_attempt_at": event.next_attempt_at,
                "finished_at": self.plan.now,
                "duration_ms": duration_ms,
                "captured": dict(outcome.captured) or None,
            }
        )

    def _step_passed(
        self, event: m.StepSkipped | m.StepDone, run: EngineRun, status: AttemptStatus, **more: Any
    ) -> None:
        """An entry for a step for which nothing was sent."""
        step = run.definition.step(event.step)
        self._made[event.step] = event.attempt
        row = entry(self.run_id, self.plan.now, event.step, event.attempt, status)
        told = {"step_type": step.type.value, "compensation": run.compensating, "finished_at": self.plan.now}
        self.plan.started.append({**row, **told, "edge": event.edge, **more})

    def _task_opened(self, event: m.TaskOpened, run: EngineRun) -> None:
        step = run.definition.step(event.step)
        self._made[event.step] = event.attempt
        waiting = entry(self.run_id, self.plan.now, event.step, event.attempt, AttemptStatus.WAITING)
        self.plan.started.append({**waiting, "step_type": "human", "compensation": run.compensating})
        task = task_row(step, event, self.plan.now, self.context())
        place = {"run_id": self.run_id, "application_id": self.loaded.row.application_id}
        self.plan.tasks.append(task | place)

    def _task_closed(self, event: m.TaskClosed) -> None:
        status = AttemptStatus(event.outcome) if event.outcome else AttemptStatus.OBSOLETE
        self.plan.ended.append(
            {
                "b_run": self.run_id,
                "b_step": event.step,
                "b_number": event.attempt,
                "b_from": AttemptStatus.WAITING,
                "status": status,
                **NO_ANSWER,
                "edge": event.edge or None,
                "finished_at": self.plan.now,
            }
        )
        self.plan.closed_tasks.append(
            {
                "b_run": self.run_id,
                "b_status": "done" if event.outcome else "obsolete",
                "outcome": event.outcome,
                "acted_at": self.plan.now,
            }
        )

    def _run_ended(self, status: RunStatus, why: str, run: EngineRun, move: Any) -> None:
        if status is RunStatus.SUPERSEDED:
            self.plan.event(self.run_id, "superseded", f"Superseded: {why}")
            self._tell({"ended_because": why})
        elif status is RunStatus.FAILED and isinstance(move.signal, m.TaskActed):
            reason = f"Failed by {move.signal.by}: {move.signal.reason}"
            self._tell({"failure_step": run.cursor, "failure_detail": reason})

    def _tell(self, changed: Values) -> None:
        """Change the run's account of why it failed or ended; the columns not named keep their value."""
        self._story = {**(self._story or {}), **changed}

    def _write_grant_state(self, run: EngineRun) -> None:
        row = self.loaded.row
        trigger = Trigger(row.trigger)
        state = grant_state(trigger, run.status, did_nothing=self._did_nothing)
        if state is not grant_state(trigger, self._statuses[0]):
            reason = CANCELLED if run.status is RunStatus.CANCELLED else None
            reason = SKIPPED if state is GrantState.NO_AUTOMATION and reason is None else reason
            self.plan.grants.append(
                {"b_grant": row.grant_id, "b_run": row.id, "state": state, "state_reason": reason}
            )

    def _write_account(self, run: EngineRun) -> None:
        row = self.loaded.row
        if self._kept:
            self.plan.kept[row.grant_id] = {**self.plan.kept.get(row.grant_id, {}), **self._kept}
        done = run.status is RunStatus.SUCCEEDED and not self._did_nothing
        if not self._learnt and not done:
            return
        state = None
        if done:
            state = "provisioned" if row.trigger == Trigger.ACCESS_GRANTED else "deprovisioned"
        pair = (row.user_id, row.application_id)
        before = self.plan.accounts.get(pair, {"b_learnt": {}, "b_state": None})
        self.plan.accounts[pair] = {
            "b_user": row.user_id,
            "b_application": row.application_id,
            "b_learnt": {**before["b_learnt"], **self._learnt},
            "b_run": row.id,
            "b_state": state or before["b_state"],
            "updated_at": self.plan.now,
        }


def _attempt_status(event: m.AttemptEnded) -> AttemptStatus:
    if event.branched:
        return AttemptStatus.BRANCHED
    return AttemptStatus.SUCCEEDED if event.outcome.ok else AttemptStatus.FAILED
