"""A model of the world around a run, which judges everything that the engine decides.

It keeps its own books: calls sent and their true effects, what people said, what the author chose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from app.domain.runs import decide as deciding
from app.domain.runs import run as folding
from app.domain.runs import signals as m
from app.domain.runs.run import Run, World
from app.domain.states import RUN_TRANSITIONS, RunStatus, TaskOrigin, TaskOutcome
from app.domain.states import FailureClass as F
from app.domain.steps.base import CONTINUE, END, ESCALATE, STOP, Compensate, GoTo, SuccessEdge
from app.domain.steps.human.step import HumanStep
from app.domain.steps.registry import Step
from app.domain.workflows.definition import Definition
from tests.support.domain.runs import NOW

OUTAGE = {F.HTTP_5XX, F.TIMEOUT, F.NETWORK}
HOUR = timedelta(hours=1)
PASSING = {F.HTTP_5XX, F.WAIT, F.TIMEOUT, F.NETWORK, F.OUTCOME_UNKNOWN}
BY_HAND = {TaskOutcome.SUBMITTED, TaskOutcome.SKIPPED}


class Judge:
    """One run, the signals that reach it, and what is true outside."""

    def __init__(self, definition: Definition) -> None:
        self.run = Run(definition)
        self.now: datetime = NOW
        self.stale: str | None = None
        self.parked: set[str] = set()  # connections that no call may go out on
        self.waits: str | None = None  # the connection that the run waits for
        self.may_send = True  # is the worker that hears of it there to make the next call?
        self.due: datetime | None = NOW
        self.call: tuple[str, int] | None = None  # the call that is out: its step and number
        self.task: TaskOrigin | None = None
        self.cancelled = False
        self.effects: Counter[str] = Counter()
        self.numbers: Counter[str] = Counter()
        self.unknown: set[str] = set()  # steps with a try that was shown as unknown
        self.said_again: set[str] = set()  # steps that a person asked for again
        self.settled: dict[str, str] = {}
        self.given_up: set[str] = set()
        self.path: list[str] = []
        self.expected = self._below(-1)
        self.undoing = False  # a compensation is under way, and newer runs wait for their turn
        self.compensating = False
        self._fresh_set()
        self._signal: m.Signal = m.Proceed()

    def _fresh_set(self) -> None:
        self.tries = self.deaths = 0
        self.doubt = False
        self.told: datetime | None = None  # since when the other system says that it is not ready

    @property
    def world(self) -> World:
        made = dict(self.numbers)
        parked = frozenset(self.parked)
        return World(
            now=self.now, stale=self.stale, attempts_made=made, may_send=self.may_send, parked=parked
        )

    def step(self, key: str) -> Step:
        return self.run.definition.step(key)

    def send(self, signal: m.Signal) -> Sequence[m.Event]:
        """Let `signal` reach the run, judge what follows from it, and return that."""
        verdict, before = self._verdict(signal), self.run
        events = deciding.decide(before, signal, self.world)
        assert events == deciding.decide(before, signal, self.world), "deciding twice gives the same answer"
        self._signal = signal
        for event in events:
            status = self.run.status
            self._judge(event)
            self.run = folding.evolve(self.run, event)
            assert self.run.status is status or self.run.status in RUN_TRANSITIONS[status]
        if events:
            moves = self.call is None and self.waits is None and self.run.status.moves_by_itself
            dues = [one.due for one in events if isinstance(one, m.RetryScheduled)]
            self.due = (dues or [self.now])[-1] if moves else None
        assert verdict is None or _came_to(events) == verdict
        return events

    def doubles_are_owned_up(self, key: str) -> bool:
        """May the step take effect again? Only when a try was shown as unknown, or a person said so."""
        return key in self.unknown or key in self.said_again

    # What must come of an answer
    def _below(self, position: int) -> str | None:
        steps = self.run.definition.steps
        undoing = {one.on_failure.key for one in steps if isinstance(one.on_failure, Compensate)}
        return next((one.key for one in steps[position + 1 :] if one.key not in undoing), None)

    def _after(self, key: str, edge: SuccessEdge) -> str | None:
        if isinstance(edge, GoTo):
            return edge.key
        return None if edge is END else self._below([one.key for one in self.run.definition.steps].index(key))

    def _is_about_the_call(self, signal: m.Signal) -> bool:
        if isinstance(signal, m.Answered):
            return self.call == (signal.step, signal.attempt)
        return isinstance(signal, m.WorkerLost) and self.call is not None

    def _verdict(self, signal: m.Signal) -> str | None:
        """What the specification wants of an answer or a death; None for any other signal."""
        if not isinstance(signal, m.Answered | m.WorkerLost):
            return None
        if not self._is_about_the_call(signal):
            return "nothing"
        assert self.call is not None
        step, died = self.step(self.call[0]), isinstance(signal, m.WorkerLost)
        if isinstance(signal, m.Answered) and signal.outcome.ok:
            return "success"
        if self.cancelled:
            return "cancelled"
        lost = (died or signal.outcome.lost) and not step.idempotent  # type: ignore[union-attr]
        passing = died or signal.outcome.failure in PASSING  # type: ignore[union-attr]
        parked = died and self.deaths == 2
        asks = lost and step.retry.attempts > 1 and step.retry.lost_answer == "ask" and not parked
        left = self.tries < step.retry.attempts or (died and step.idempotent)
        repeats = passing and left and not asks and not parked
        if not died and signal.outcome.failure is F.WAIT:  # type: ignore[union-attr]
            # Being told to wait spends no try, and has an end of its own.
            repeats = self.told is None or self.now < self.told + HOUR
        down = not died and signal.outcome.failure in OUTAGE  # type: ignore[union-attr]
        going_on = self.compensating or self.stale is None
        if down and not lost and going_on and _connection(step) in self.parked:
            return "wait"
        if going_on and not died and signal.outcome.ours:  # type: ignore[union-attr]
            return "repeat"
        return self._without_answer(step, asks=asks, repeats=repeats, parked=parked)

    def _without_answer(self, step: Step, *, asks: bool, repeats: bool, parked: bool) -> str:
        if self.compensating:
            return "repeat" if repeats else "ask" if asks and self.stale is None else "failed"
        edge = step.on_failure
        undo = isinstance(edge, Compensate) and not asks and not repeats and not parked
        if self.stale is not None and not (undo and not isinstance(self.step(edge.key), HumanStep)):  # type: ignore[union-attr]
            return "superseded"
        if parked or repeats or asks:
            return "failed" if parked else "repeat" if repeats else "ask"
        if isinstance(edge, Compensate):
            return "compensate"
        return "failed" if edge is STOP else "ask" if edge is ESCALATE else "onward"

    # Events
    def _judge(self, event: m.Event) -> None:
        match event:
            case m.AttemptStarted():
                self._judge_start(event)
            case m.AttemptEnded():
                self._judge_end(event)
            case m.TaskOpened():
                self._judge_question(event)
            case m.TaskClosed(step=step, outcome=outcome):
                assert self.task is not None
                assert outcome is not TaskOutcome.RETRIED or self.task is TaskOrigin.ESCALATED_FAILURE
                self.task = None
                if outcome in BY_HAND:
                    self.settled[step] = "by hand"
                    self.expected = self._after(step, self.step(step).on_success)
            case m.RunEnded(status=status):
                self._judge_ending(status)
            case _:
                self._judge_other(event)

    def _judge_other(self, event: m.Event) -> None:
        match event:
            case m.RunStarted():
                assert self.stale is None, "a stale run does not start"
            case m.StepReached(step=step):
                assert step == self.expected, "the run goes where its edge leads"
                assert self.run.status is RunStatus.RUNNING
                self.path += [step] if step is not None else []
                self._fresh_set()
            case m.ConnectionAwaited():
                self._judge_waiting(event)
            case m.RetryScheduled(costs_try=costs_try, waits_since=since):
                waits = (
                    self._signal.outcome.failure is F.WAIT if isinstance(self._signal, m.Answered) else False
                )
                assert costs_try or waits or self._signal.outcome.ours
                assert (since is not None) == waits
                self.told = self.told or since
                assert since == self.told or not waits, "the time that it waits is counted once"
                self.tries -= 0 if costs_try else 1
            case m.WorkerDied(deaths=deaths, costs_try=costs_try):
                assert self.call is not None
                self.deaths += 1
                assert deaths == self.deaths <= 3
                assert costs_try or self.step(self.call[0]).idempotent
                self.tries -= 0 if costs_try else 1
            case m.StepFailed(step=step, unknown=unknown):
                assert unknown == self.doubt, "what fails is flagged as long as a lost answer is open"
                self.given_up.add(step)
            case m.FailureIgnored(step=step):
                edge = self.step(step).on_failure
                assert step in self.given_up or _acted(self._signal) is TaskOutcome.FAILED
                assert edge is CONTINUE or isinstance(edge, GoTo)
                self.settled[step] = "ignored"
                self.expected = edge.key if isinstance(edge, GoTo) else self._after(step, CONTINUE)
            case m.CompensationStarted(step=step):
                assert self.step(self.run.cursor or "").on_failure == Compensate(step)
                assert not self.cancelled
                self.compensating = True
                self.undoing = not isinstance(self.step(step), HumanStep)
                self._fresh_set()
            case m.RetryRequested(step=step):
                assert self.stale is None, "a stale run is not tried again"
                self.given_up.discard(step or "")
                self.said_again.add(step or "")
                self.undoing = self.compensating and not isinstance(self.step(step or ""), HumanStep)
                self._fresh_set()

    def _judge_waiting(self, event: m.ConnectionAwaited) -> None:
        step = self.step(event.step)
        assert self.run.status is RunStatus.RUNNING
        assert self.call is None
        assert self.task is None
        assert not self.cancelled
        assert self.waits is None, "waiting is said once"
        assert event.connection == _connection(step)
        assert event.connection in self.parked, "a run waits for nothing but a parked connection"
        assert self.stale is None or self.undoing, "a stale run waits for nothing"
        assert event.step not in self.settled
        self.tries -= 1 if event.gives_back else 0
        self.waits = event.connection

    def _judge_start(self, event: m.AttemptStarted) -> None:
        step = self.step(event.step)
        assert _connection(step) not in self.parked, "no call begins on a parked connection"
        self.waits = None
        assert self.call is None, "at most one call is in flight"
        assert self.task is None
        assert not self.cancelled, "no call begins once a cancel was asked for"
        assert self.run.status is RunStatus.RUNNING
        if self.compensating:
            assert self.undoing, "a compensation never comes after a newer run's work"
        else:
            assert self.stale is None, "no forward step begins while the intent is stale"
        assert self.may_send
        assert event.attempt == self.numbers[event.step] + 1, "attempt numbers have no gap and no repeat"
        assert event.step not in self.settled, "a finished step is never sent again"
        assert event.step not in self.given_up, "what failed for good waits for a person"
        assert not self.doubt or step.retry.lost_answer == "resend", "a lost answer is not sent again unasked"
        self.tries += 1
        assert event.tries == self.tries <= step.retry.attempts == event.of
        assert self.deaths < 3
        self.numbers[event.step] += 1
        self.call = event.step, event.attempt

    def _judge_end(self, event: m.AttemptEnded) -> None:
        assert self.call == (event.step, event.attempt), "an outcome belongs to the call that is out"
        step = self.step(event.step)
        lost = event.outcome.lost and not step.idempotent
        assert event.unknown == lost
        self.unknown |= {event.step} if lost else set()
        self.doubt = self.doubt or lost
        self.call = None
        if event.outcome.ok:
            assert self.effects[event.step] > 0
            self.settled[event.step] = "answered"
            self.expected = self._after(event.step, step.on_success)

    def _judge_question(self, event: m.TaskOpened) -> None:
        assert self.task is None
        assert self.call is None
        assert self.stale is None, "nobody is asked on behalf of a stale run"
        assert not self.cancelled
        assert (event.origin is TaskOrigin.HUMAN_TASK) == isinstance(self.step(event.step), HumanStep)
        assert event.attempt == self.numbers[event.step] + 1
        assert event.unknown == self.doubt
        self.numbers[event.step] += 1
        self.task = event.origin
        self.undoing = False

    def _judge_ending(self, status: RunStatus) -> None:
        assert self.call is None, "no call is out once the run is over"
        assert self.task is None, "no task is open once the run is over"
        self.waits = None
        cursor, self.undoing = self.run.cursor, False
        match status:
            case RunStatus.SUCCEEDED:
                assert cursor is None
                assert set(self.path) <= set(self.settled), "every step on the path came to an end"
                assert self.run.failure_ignored == ("ignored" in self.settled.values())
                assert not self.compensating
            case RunStatus.COMPENSATED:
                assert self.compensating
                assert cursor in self.settled, "compensation really calls its step"
            case RunStatus.SUPERSEDED:
                assert self.stale is not None
            case RunStatus.CANCELLED:
                assert self.cancelled
            case _:
                assert status is RunStatus.FAILED
                assert not self.cancelled
                assert cursor in self.given_up or _acted(self._signal) is TaskOutcome.FAILED


def _connection(step: Step) -> str | None:
    return None if isinstance(step, HumanStep) else step.connection_id


def _acted(signal: m.Signal) -> TaskOutcome | None:
    return signal.outcome if isinstance(signal, m.TaskActed) else None


def _came_to(events: Sequence[m.Event]) -> str:
    """What an answer came to, in the words of `_verdict`."""
    words: list[str] = []
    for event in events:
        match event:
            case m.AttemptEnded(outcome=outcome) if outcome.ok:
                words.append("success")
            case m.RetryScheduled():
                words.append("repeat")
            case m.ConnectionAwaited(gives_back=True):
                words.append("wait")
            case m.CompensationStarted():
                words.append("compensate")
            case m.FailureIgnored():
                words.append("onward")
            case m.TaskOpened(origin=TaskOrigin.ESCALATED_FAILURE):
                words.append("ask")
            case m.RunEnded(status=status):
                words.append(status.value)
    return words[0] if words else "nothing"
