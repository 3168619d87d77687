"""What a step can be: the vocabulary of a workflow's definition (SPEC §4), with its limits and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from app.domain.json_reader import Json
from app.domain.mapping.render import BodyFormat

MAX_STEPS = 50
MAX_NAME = 200
MAX_KEY = 64
MAX_PROMPT = 2_000
MAX_HUMAN_FIELDS = 25
MAX_OPTIONS = 100
MAX_CAPTURES = 25
MAX_CAPTURE_SOURCE = 500
MAX_STATUS_ENTRIES = 50
MAX_ATTEMPTS = 10
MAX_DELAY_SECONDS = 3_600
MAX_DUE_HOURS = 8_760

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# RFC 9110 §9.2.2, as SPEC §5 lists them.
IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE"})

Backoff = Literal["fixed", "exponential"]
LostAnswer = Literal["resend", "ask"]


class StepType(StrEnum):
    HTTP = "http"
    WEBHOOK = "webhook"
    HUMAN = "human"

    @property
    def label(self) -> str:
        return {"http": "API / HTTP", "webhook": "Webhook", "human": "Human task"}[self.value]


class FieldType(StrEnum):
    """What a person may type into a field of a human task."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"


class Edge(StrEnum):
    """Where a run goes after a step, when it is not to a named step. `label` is the word on the screen."""

    NEXT = "next"
    END = "end"
    STOP = "stop"
    ESCALATE = "escalate"
    CONTINUE = "continue"

    @property
    def label(self) -> str:
        return _EDGE_LABELS[self]


_EDGE_LABELS = {
    Edge.NEXT: "Next step",
    Edge.END: "End the run",
    Edge.STOP: "Alert and stop",
    Edge.ESCALATE: "Escalate to a human",
    Edge.CONTINUE: "Continue anyway",
}
NEXT: Final = Edge.NEXT
END: Final = Edge.END
STOP: Final = Edge.STOP
ESCALATE: Final = Edge.ESCALATE
CONTINUE: Final = Edge.CONTINUE
SUCCESS_EDGES = (NEXT, END)
FAILURE_EDGES = (STOP, ESCALATE, CONTINUE)


@dataclass(frozen=True, slots=True)
class GoTo:
    """Go on with the step `key`."""

    key: str


@dataclass(frozen=True, slots=True)
class Compensate:
    """Run the step `key`, which undoes what was done; then the run ends."""

    key: str


SuccessEdge = Edge | GoTo
FailureEdge = Edge | GoTo | Compensate


@dataclass(frozen=True, slots=True)
class StatusSet:
    """HTTP statuses as inclusive ranges, in the order in which the author listed them."""

    ranges: tuple[tuple[int, int], ...] = ()

    def __contains__(self, status: object) -> bool:
        return isinstance(status, int) and any(low <= status <= high for low, high in self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)


SUCCESS = StatusSet(((200, 299),))


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when a transient failure is tried again. `attempts` counts all tries, so 1 is off."""

    attempts: int = 1
    backoff: Backoff = "exponential"
    delay_seconds: float = 1
    wait_statuses: StatusSet = StatusSet()
    lost_answer: LostAnswer = "resend"

    @property
    def is_on(self) -> bool:
        return self.attempts > 1


NO_RETRY = Retry()


@dataclass(frozen=True, slots=True)
class CaptureRule:
    """Keep one value of an answer as `name`. `source` is a JSONPath (`$…`) or `header:Name`."""

    name: str
    source: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a human task asks for. `options` belong to the type choice alone."""

    name: str
    label: str
    type: FieldType = FieldType.TEXT
    required: bool = False
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assignee:
    """Who may act on a human task: one user, the members of one group, or anyone with the permission."""

    user_id: str | None = None
    group_id: str | None = None

    @property
    def is_anyone(self) -> bool:
        return self.user_id is None and self.group_id is None


@dataclass(frozen=True, slots=True, kw_only=True)
class _StepBase:
    key: str
    name: str
    on_success: SuccessEdge = NEXT
    on_failure: FailureEdge = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpStep(_StepBase):
    """One HTTP call. `body` None means that none is sent; a list as a query value repeats its name."""

    connection_id: str
    method: str
    path: str
    query: Mapping[str, Json] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Json = None
    body_format: BodyFormat = "json"
    capture: tuple[CaptureRule, ...] = ()
    success_statuses: StatusSet = SUCCESS
    idempotent: bool = False
    retry: Retry = NO_RETRY

    @property
    def type(self) -> StepType:
        return StepType.HTTP

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names that later steps may read as `steps.<key>.<name>`."""
        return tuple(rule.name for rule in self.capture)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookStep(_StepBase):
    """One signed POST."""

    connection_id: str
    body: Json
    success_statuses: StatusSet = SUCCESS
    idempotent: bool = False
    retry: Retry = NO_RETRY

    @property
    def type(self) -> StepType:
        return StepType.WEBHOOK

    @property
    def outputs(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanStep(_StepBase):
    """A task for a person. It sends nothing, so it never retries and repeating it is harmless.

    Without `granter_may_act` whoever granted the access is not among those who may complete it.
    """

    prompt: str
    assignee: Assignee
    fields: tuple[Field, ...] = ()
    due_hours: float | None = None
    granter_may_act: bool = True

    @property
    def type(self) -> StepType:
        return StepType.HUMAN

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.fields)

    @property
    def idempotent(self) -> bool:
        return True

    @property
    def retry(self) -> Retry:
        return NO_RETRY


Step = HttpStep | WebhookStep | HumanStep


def connection_number(step: HttpStep | WebhookStep) -> int | None:
    """The number of the connection that the step uses; None for text that cannot be one."""
    text = step.connection_id
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None
