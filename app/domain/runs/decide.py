"""How a run moves.

`decide` looks at a run, a signal and the world as it stands, and answers with events: what is now true.
`evolve` (engine.run) folds one event into the run.  Neither reads a clock, a database, a network or a dice:
the caller passes time, jitter and facts in, and carries out what the events ask for.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from app.domain.mapping.templates import MappingError
from app.domain.runs import polling
from app.domain.runs import signals as m
from app.domain.runs.breaker import OUTAGE, WAITS
from app.domain.runs.calls import Outcome
from app.domain.runs.retry import TRANSIENT, TURN_SECONDS
from app.domain.runs.run import Run, World, fold
from app.domain.states import FailureClass, RunStatus, TaskOrigin, TaskOutcome
from app.domain.steps.base import Compensate, Edge, GoTo
from app.domain.steps.conditions import unmet_in
from app.domain.steps.registry import AnyCall, Step
from app.domain.workflows.graph import failure_words, success_target, towards

MAX_DEATHS = 3


def decide(run: Run, signal: m.Signal, world: World) -> list[m.Event]:  # noqa: PLR0911  # one plain case a kind
    """Return the events that `signal` causes, or none if it no longer matters."""
    if world.unreadable and isinstance(signal, m.Proceed | m.Answered | m.WorkerLost | m.TaskActed):
        return _unreadable(run, signal, world)
    match signal:
        case m.Proceed():
            return _proceed(run, world)
        case m.Answered(step=step, attempt=attempt, outcome=outcome):
            if not run.in_flight or step != run.cursor or attempt != run.attempt:
                return []  # late or repeated: queues deliver at least once, and out of order
            return _answered(run, outcome, world)
        case m.WorkerLost():
            return _worker_lost(run, world)
        case m.TaskActed():
            return _task_acted(run, signal, world)
        case m.Retry(by=by):
            retried = run.status is RunStatus.FAILED and world.stale is None
            return [m.RetryRequested(run.cursor, by)] if retried else []
        case m.Done():
            return _done(run, signal, world)
        case m.Cancel(by=by, reason=reason):
            return _cancel(run, by, reason)
        case m.Supersede():
            return _superseded(run, world)
        case _:
            assert_never(signal)


def _unreadable(
    run: Run, signal: m.Proceed | m.Answered | m.WorkerLost | m.TaskActed, world: World
) -> list[m.Event]:
    """Nobody knows the run's steps: it ends with these words, and what a call that was out came to is kept."""
    match signal:
        case m.Answered(step=step, attempt=attempt, outcome=outcome):
            if not run.in_flight or (step, attempt) != (run.cursor, run.attempt):
                return []
            events: list[m.Event] = [_ended(run, outcome, "ends the run as failed", unknown=outcome.lost)]
            if outcome.captured:
                events.append(m.StepCaptured(step, outcome.captured))
        case m.WorkerLost():
            if not run.in_flight:
                return []
            lost = Outcome.failed(FailureClass.OUTCOME_UNKNOWN, lost=True)
            died = m.WorkerDied(run.cursor or "", run.deaths + 1, costs_try=True)
            events = [died, _ended(run, lost, "ends the run as failed", unknown=True)]
        case m.Proceed():
            if run.in_flight or run.status not in (RunStatus.QUEUED, RunStatus.RUNNING):
                return []
            if run.cancel_requested:
                return [m.RunEnded(RunStatus.CANCELLED)]
            if world.stale is not None:
                return [m.RunEnded(RunStatus.SUPERSEDED, world.stale)]
            events = [m.RunStarted()] if run.status is RunStatus.QUEUED else []
        case m.TaskActed():
            return []
    why = Outcome.failed(FailureClass.CONFIGURATION, detail=world.unreadable)
    unknown = run.unknown or any(isinstance(one, m.AttemptEnded) and one.unknown for one in events)
    return [*events, m.StepFailed(run.cursor or "", why, unknown), m.RunEnded(RunStatus.FAILED)]


def _proceed(run: Run, world: World) -> list[m.Event]:
    if run.in_flight or run.status not in (RunStatus.QUEUED, RunStatus.RUNNING):
        return []
    if run.cancel_requested:
        return [m.RunEnded(RunStatus.CANCELLED)]
    if (why := _stale(run, world)) is not None:
        return [m.RunEnded(RunStatus.SUPERSEDED, why)]
    if run.status is RunStatus.QUEUED:
        started: list[m.Event] = [m.RunStarted(), m.StepReached(run.definition.first)]
        return started + _reach(fold(run, started), run.definition.first, world, announce=False)
    return _reach(run, run.cursor, world, announce=False)


def _answered(run: Run, outcome: Outcome, world: World) -> list[m.Event]:  # one plain case a kind
    step = _step(run).call
    assert step is not None
    if outcome.ok:
        return _succeeded(run, step, outcome, world)
    if outcome.branches and not run.compensating:
        return _branched(run, step, outcome, world)
    assert outcome.failure is not None
    unknown = outcome.lost and not step.idempotent
    asks = unknown and step.retry.is_on and step.retry.lost_answer == "ask" and not run.one_off
    again = run.tries < step.retry.attempts and not run.one_off
    repeats = not asks and outcome.failure in TRANSIENT and again
    if asks and not run.cancel_requested and world.stale is None:
        return [
            _ended(run, outcome, "asks a person whether it was done", unknown=True),
            m.StepFailed(step.key, outcome, True),
            m.TaskOpened(step.key, run.attempt + 1, TaskOrigin.ESCALATED_FAILURE, unknown=True),
        ]
    goes_on = not run.cancel_requested and _stale(run, world) is None
    if goes_on and not unknown and not run.one_off and _met_an_outage(step, outcome, world):
        ended = _ended(run, outcome, WAITS)
        return [ended, m.ConnectionAwaited(step.key, step.connection_id, gives_back=True)]
    if goes_on and outcome.ours and not run.one_off:
        wait = max(TURN_SECONDS, outcome.retry_after or 0.0) + TURN_SECONDS * world.jitter
        due = world.now + timedelta(seconds=wait)
        ended = _ended(run, outcome, "waits for its turn", due=due)
        return [ended, m.RetryScheduled(step.key, due, costs_try=False)]
    if outcome.failure is FailureClass.WAIT and not run.one_off:
        return _not_yet(run, step, outcome, world, goes_on=goes_on)
    if repeats and goes_on:
        due = world.now + timedelta(seconds=polling.delay_of(step, run.tries, outcome, world.jitter))
        ended = _ended(run, outcome, "tries again", unknown=unknown, due=due)
        return [ended, m.RetryScheduled(step.key, due)]
    return _failed(run, step, outcome, world, unknown=unknown, for_good=not asks and not repeats)


def _not_yet(run: Run, step: AnyCall, outcome: Outcome, world: World, *, goes_on: bool) -> list[m.Event]:
    """The other system is not ready: it is asked again, which spends no try, until the step has waited enough."""
    again_at = polling.asked_again(run, step, outcome, world)
    if again_at is None or not goes_on:
        waited = polling.waited_out(outcome, step.retry) if again_at is None else outcome
        return _failed(run, step, waited, world, unknown=False, for_good=again_at is None)
    since, due = again_at
    ended = _ended(run, outcome, polling.words_of(step.retry), due=due)
    return [ended, m.RetryScheduled(step.key, due, waits_since=since, costs_try=False)]


def _branched(run: Run, step: AnyCall, outcome: Outcome, world: World) -> list[m.Event]:
    """The answer has a status that the step's author sends elsewhere: no failure, and nothing is tried again."""
    assert outcome.http_status is not None
    key = step.on_status[outcome.http_status].key
    ended = replace(_ended(run, outcome, towards(run.definition, key)), branched=True)
    return [ended, *_captured(step, outcome), *_reach(fold(run, [ended]), key, world)]


def _captured(step: Step, outcome: Outcome) -> list[m.Event]:
    if outcome.captured or (outcome.ok and step.outputs):
        return [m.StepCaptured(step.key, outcome.captured, answered=True)]
    return []


def _done(run: Run, signal: m.Done, world: World) -> list[m.Event]:
    """A person says that the failed step was done: the run goes on after it."""
    if (
        run.status is not RunStatus.FAILED
        or run.cursor is None
        or world.stale is not None
        or world.unreadable
    ):
        return []
    step = _step(run)
    target = None if run.compensating else success_target(run.definition, step)
    words = "ends the run as compensated" if run.compensating else towards(run.definition, target)
    number = max(world.made(step.key), run.attempt) + 1
    events: list[m.Event] = [m.StepDone(step.key, number, signal.by, signal.reason, words, signal.values)]
    if signal.values:
        events.append(m.StepCaptured(step.key, signal.values))
    events.append(m.RunResumed(signal.by))
    return [*events, m.RunEnded(RunStatus.COMPENSATED) if run.compensating else m.StepReached(target)]


def _met_an_outage(step: AnyCall, outcome: Outcome, world: World) -> bool:
    """The connection is parked for just such failures: this one is the outage's, and costs the run nothing."""
    return outcome.failure in OUTAGE and step.connection_id in world.parked


def _succeeded(run: Run, step: Step, outcome: Outcome, world: World) -> list[m.Event]:
    if run.compensating:
        ended = _ended(run, outcome, "ends the run as compensated")
        return [ended, *_captured(step, outcome), m.RunEnded(RunStatus.COMPENSATED)]
    target = success_target(run.definition, step)
    events: list[m.Event] = [_ended(run, outcome, towards(run.definition, target)), *_captured(step, outcome)]
    return events + _reach(fold(run, events), target, world)


def _failed(
    run: Run, step: Step, outcome: Outcome, world: World, *, unknown: bool, for_good: bool = True
) -> list[m.Event]:
    """Nothing more is tried: end the run or, when the step failed `for_good`, take the failure edge."""
    # A lost answer in an earlier try of the set leaves the step in doubt, however the last one was answered.
    failed = m.StepFailed(step.key, outcome, unknown or run.unknown)
    end = _end_after_failure(run, step, world, for_good=for_good)
    words = failure_words(run.definition, step) if end is None else f"ends the run as {end.status.value}"
    # What the answer did hold is kept, whatever it lacked.
    ended = _ended(run, outcome, words, unknown=unknown)
    events: list[m.Event] = [ended, *_captured(step, outcome), failed]
    if end is not None:
        return [*events, end]
    return events + _take_failure_edge(fold(run, events), step, failed.unknown, world)


def _end_after_failure(run: Run, step: Step, world: World, *, for_good: bool) -> m.RunEnded | None:
    """How the run ends with this failure, or None when the failure edge leads on."""
    parked = run.deaths >= MAX_DEATHS
    if run.cancel_requested:
        return m.RunEnded(RunStatus.CANCELLED)
    if run.compensating:
        return m.RunEnded(RunStatus.FAILED)
    if world.stale is not None and (parked or not for_good or not _undone_by_a_call(run, step)):
        return m.RunEnded(RunStatus.SUPERSEDED, world.stale)
    return m.RunEnded(RunStatus.FAILED) if parked or step.on_failure is Edge.STOP else None


def _undone_by_a_call(run: Run, step: Step) -> bool:
    edge = step.on_failure
    return isinstance(edge, Compensate) and run.definition.step(edge.key).calls_out


def _take_failure_edge(run: Run, step: Step, unknown: bool, world: World) -> list[m.Event]:
    match step.on_failure:
        case Compensate(key=key):
            begun: list[m.Event] = [m.CompensationStarted(key)]
            return begun + _begin(fold(run, begun), key, world)
        case GoTo(key=key):
            events: list[m.Event] = [m.FailureIgnored(step.key)]
            return events + _reach(fold(run, events), key, world)
    if step.on_failure is Edge.ESCALATE:
        return [m.TaskOpened(step.key, run.attempt + 1, TaskOrigin.ESCALATED_FAILURE, unknown)]
    ignored: list[m.Event] = [m.FailureIgnored(step.key)]
    return ignored + _reach(fold(run, ignored), run.definition.next_after(step.key), world)


def _worker_lost(run: Run, world: World) -> list[m.Event]:
    if not run.in_flight:
        return []  # reported twice, or answered just in time: a backoff must not be cut short
    step = _step(run)
    # A death is ours, not the other system's: sending an idempotent step again is harmless and costs no try.
    forgiven = step.idempotent and run.deaths + 1 < MAX_DEATHS and not (run.cancel_requested or run.one_off)
    died: list[m.Event] = [m.WorkerDied(step.key, run.deaths + 1, costs_try=not forgiven)]
    after = fold(run, died)
    lost = Outcome.failed(FailureClass.OUTCOME_UNKNOWN, lost=True)
    if after.deaths >= MAX_DEATHS:
        parked = replace(lost, failure=FailureClass.WORKER_LOST)
        return died + _failed(after, step, parked, world, unknown=not step.idempotent)
    if forgiven and _stale(after, world) is not None:
        return died + _failed(after, step, lost, world, unknown=False, for_good=False)
    if forgiven:
        again = _ended(after, lost, "sends it again", due=world.now)
        return [*died, again, m.RetryScheduled(step.key, world.now)]
    return died + _answered(after, lost, world)


def _task_acted(run: Run, signal: m.TaskActed, world: World) -> list[m.Event]:
    if run.task is None or run.status is not RunStatus.WAITING_MANUAL:
        return []
    step, outcome = _step(run), signal.outcome
    escalated = run.task is TaskOrigin.ESCALATED_FAILURE
    if world.stale is not None:
        return _superseded(run, world)
    if outcome is TaskOutcome.RETRIED:
        if not escalated:
            return []  # nothing was sent that could be sent again
        return [
            m.TaskClosed(step.key, run.attempt, outcome, "sends the step again"),
            m.RunResumed(signal.by),
            m.RetryRequested(step.key, signal.by),
        ]
    if outcome is TaskOutcome.FAILED:
        return _failed_by_person(run, step, signal, escalated=escalated)
    target = None if run.compensating else success_target(run.definition, step)
    words = "ends the run as compensated" if run.compensating else towards(run.definition, target)
    events: list[m.Event] = [m.TaskClosed(step.key, run.attempt, outcome, words)]
    if outcome is TaskOutcome.SUBMITTED and signal.values:
        events.append(m.StepCaptured(step.key, signal.values))
    if run.compensating:
        return [*events, m.RunResumed(signal.by), m.RunEnded(RunStatus.COMPENSATED)]
    # The rest is a worker's: it takes its turn in the lane before anything more is sent.
    return [*events, m.RunResumed(signal.by), m.StepReached(target)]


def _failed_by_person(run: Run, step: Step, signal: m.TaskActed, *, escalated: bool) -> list[m.Event]:
    """Escalated failures end failed; a human task takes its step's failure edge, but never asks again."""
    words = "ends the run as failed" if escalated or run.compensating else failure_words(run.definition, step)
    closed: list[m.Event] = [m.TaskClosed(step.key, run.attempt, TaskOutcome.FAILED, words)]
    if escalated or run.compensating or step.on_failure in (Edge.STOP, Edge.ESCALATE):
        return [*closed, m.RunEnded(RunStatus.FAILED)]
    resumed: list[m.Event] = [*closed, m.RunResumed(signal.by)]
    match step.on_failure:
        case Compensate(key=key):
            return [*resumed, m.CompensationStarted(key)]
        case GoTo(key=key):
            return [*resumed, m.FailureIgnored(step.key), m.StepReached(key)]
        case _:
            following = run.definition.next_after(step.key)
            return [*resumed, m.FailureIgnored(step.key), m.StepReached(following)]


def _cancel(run: Run, by: str, reason: str) -> list[m.Event]:
    if not run.status.is_open or run.cancel_requested:
        return []
    requested = m.CancelRequested(by, reason)
    if run.in_flight:
        return [requested]  # a call is out: its answer is recorded, then the run ends
    return [requested, *_obsolete_task(run), m.RunEnded(RunStatus.CANCELLED)]


def _superseded(run: Run, world: World) -> list[m.Event]:
    why = _stale(run, world)
    if why is None or run.in_flight or not (run.status.is_open or run.status is RunStatus.FAILED):
        return []  # a call that is out is let finish; its answer is where the run ends
    return [*_obsolete_task(run), m.RunEnded(RunStatus.SUPERSEDED, why)]


def _stale(run: Run, world: World) -> str | None:
    """Why the run must not go on, or None.

    A compensation under way is brought to its end: it undoes its own run's work, and the newer run
    has to wait its turn.  While it waits for a person, or has failed, newer runs pass, and what they did must
    not be undone.
    """
    under_way = run.compensating and run.status is RunStatus.RUNNING
    if world.unreadable:
        return world.stale
    return None if under_way and _step(run).calls_out else world.stale


def _reach(run: Run, target: str | None, world: World, *, announce: bool = True) -> list[m.Event]:
    """Go to `target`: end, stop because the world changed, or begin the step."""
    reached: list[m.Event] = [m.StepReached(target)] if announce else []
    if run.cancel_requested:
        return [*reached, m.RunEnded(RunStatus.CANCELLED)]
    if target is None:
        return [*reached, m.RunEnded(RunStatus.SUCCEEDED)]
    if (why := _stale(run, world)) is not None:
        return [*reached, m.RunEnded(RunStatus.SUPERSEDED, why)]
    return reached + _begin(fold(run, reached), target, world)


def _begin(run: Run, key: str, world: World) -> list[m.Event]:
    step = run.definition.step(key).call
    number = max(world.made(key), run.attempt if run.cursor == key else 0) + 1
    only_if = run.definition.step(key).only_if
    try:
        unmet = unmet_in(only_if, world.context(run)) if only_if else ""
    except MappingError as error:
        # Neither way can be taken: what the condition looks at is there, and nobody can tell what it says.
        why = Outcome.failed(FailureClass.MAPPING, detail=f"only_if: {error.message}")
        return [m.StepFailed(key, why, False), m.RunEnded(RunStatus.FAILED)]
    if unmet:
        return _skip(run, run.definition.step(key), number, unmet, world)
    if step is None:
        return [m.TaskOpened(key, number, TaskOrigin.HUMAN_TASK)]
    if not world.may_send:
        return []
    if step.connection_id in world.crowded:
        return []
    if step.connection_id in world.parked:
        waits_already = run.waits_for == step.connection_id
        return [] if waits_already else [m.ConnectionAwaited(key, step.connection_id)]
    return [m.AttemptStarted(key, number, run.tries + 1, step.retry.attempts)]


def _skip(run: Run, step: Step, number: int, unmet: str, world: World) -> list[m.Event]:
    target = None if run.compensating else success_target(run.definition, step)
    words = "ends the run as compensated" if run.compensating else towards(run.definition, target)
    skipped = m.StepSkipped(step.key, number, f"Condition not met: “{unmet}”.", words)
    if run.compensating:
        return [skipped, m.RunEnded(RunStatus.COMPENSATED)]
    return [skipped, *_reach(run, target, world)]


def _obsolete_task(run: Run) -> list[m.Event]:
    if run.task is None or run.cursor is None:
        return []
    return [m.TaskClosed(run.cursor, run.attempt, None, "")]


def _step(run: Run) -> Step:
    assert run.cursor is not None
    return run.definition.step(run.cursor)


def _ended(
    run: Run, outcome: Outcome, edge: str, *, unknown: bool = False, due: datetime | None = None
) -> m.AttemptEnded:
    assert run.cursor is not None
    return m.AttemptEnded(run.cursor, run.attempt, outcome, edge, unknown, due)
