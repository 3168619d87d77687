"""Short ways to build definitions and outcomes, and to lead a run somewhere, for the engine's tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.runs import decide as deciding
from app.domain.runs import run as folding
from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.runs.run import Run, World
from app.domain.states import FailureClass as F
from app.domain.states import TaskOutcome
from app.domain.steps.base import ESCALATE
from app.domain.steps.http.step import HttpStep
from app.domain.steps.human.step import HumanStep
from app.domain.steps.registry import Step
from app.domain.steps.retry import Retry
from app.domain.steps.tasks import Assignee
from app.domain.steps.webhook.step import WebhookStep
from app.domain.workflows.definition import Definition

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
STALE = "Its grant has been revoked."

OK = Outcome.success(201)
BROKEN = Outcome.failed(F.HTTP_5XX, http_status=503)
REFUSED = Outcome.failed(F.HTTP_4XX, http_status=422)
LOST = Outcome.failed(F.TIMEOUT, lost=True)

SUBMIT, SKIP = TaskOutcome.SUBMITTED, TaskOutcome.SKIPPED
FAIL, AGAIN = TaskOutcome.FAILED, TaskOutcome.RETRIED
CANCEL = m.Cancel("bob", "no longer wanted")

RESEND = Retry(attempts=3, backoff="fixed", delay_seconds=10)
ASK = Retry(attempts=3, backoff="fixed", delay_seconds=10, lost_answer="ask")


def post(key: str, **changed: Any) -> HttpStep:
    """A step that creates something: not idempotent unless told."""
    given = {"name": key.capitalize(), "connection_id": "1", "method": "POST", "path": "/users"} | changed
    return HttpStep(key=key, **given)


def put(key: str, **changed: Any) -> HttpStep:
    """A step that may be sent again without harm."""
    return post(key, **{"method": "PUT", "idempotent": True} | changed)


def webhook(key: str, **changed: Any) -> WebhookStep:
    return WebhookStep(key=key, **{"name": key.capitalize(), "connection_id": "2", "body": {}} | changed)


def human(key: str, **changed: Any) -> HumanStep:
    """A step that asks a person."""
    return HumanStep(
        key=key, **{"name": key.capitalize(), "prompt": "Do it.", "assignee": Assignee()} | changed
    )


@dataclass
class Journey:
    """A run with the world around it, moved one signal at a time; `events` are those of the last one."""

    run: Run
    now: datetime = NOW
    stale: str | None = None
    jitter: float = 0.0
    may_send: bool = True
    parked: frozenset[str] = frozenset()
    context: dict[str, Any] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)
    events: list[m.Event] = field(default_factory=list)
    history: list[m.Event] = field(default_factory=list)

    @property
    def world(self) -> World:
        return World(
            now=self.now,
            stale=self.stale,
            attempts_made=dict(self.made),
            jitter=self.jitter,
            may_send=self.may_send,
            parked=self.parked,
            context=lambda run: {**self.context, "steps": run.learnt},
        )

    def send(self, *signals: m.Signal) -> Journey:
        for signal in signals:
            self.events = deciding.decide(self.run, signal, self.world)
            self.history += self.events
            for event in self.events:
                self.run = folding.evolve(self.run, event)
                if isinstance(event, m.AttemptStarted | m.TaskOpened | m.StepSkipped | m.StepDone):
                    self.made[event.step] = event.attempt
        return self

    def proceed(self) -> Journey:
        return self.send(m.Proceed())

    def answer(self, *outcomes: Outcome) -> Journey:
        """Answer the call in flight; where a try follows a backoff, begin it and answer that as well."""
        for outcome in outcomes:
            if not self.run.in_flight:
                self.proceed()
            assert self.run.in_flight
            assert self.run.cursor is not None
            self.send(m.Answered(self.run.cursor, self.run.attempt, outcome))
        return self

    def die(self, times: int = 1) -> Journey:
        """Let the worker die during this many tries in a row."""
        for _ in range(times):
            if not self.run.in_flight:
                self.proceed()
            assert self.run.in_flight
            self.send(m.WorkerLost())
        return self

    def act(self, outcome: TaskOutcome, **values: Any) -> Journey:
        return self.send(m.TaskActed(outcome, "bob", values, "because"))

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def only(self, kind: type[Any]) -> Any:
        """The one event of this kind among the last signal's."""
        [found] = [event for event in self.events if isinstance(event, kind)]
        return found

    def delay(self) -> timedelta:
        return self.only(m.RetryScheduled).due - self.now  # type: ignore[no-any-return]


def queued(*steps: Step) -> Journey:
    return Journey(Run(Definition(steps)))


def started(*steps: Step) -> Journey:
    """A run whose first step has begun."""
    return queued(*steps).proceed()


def escalated(*more: Step) -> Journey:
    """A run whose first step was refused and is now a person's to deal with."""
    return started(post("create", on_failure=ESCALATE), *more).answer(REFUSED)


def calls(events: Sequence[m.Event]) -> list[tuple[str, int]]:
    """Step and number of each call that was ordered."""
    return [(one.step, one.attempt) for one in events if isinstance(one, m.AttemptStarted)]
