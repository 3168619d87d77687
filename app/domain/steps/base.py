"""What every step has: a key, a name, two edges, and the answers of a step that does nothing special."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, Literal, TypedDict

from app.domain.json_reader import Json, Reader
from app.domain.steps.conditions import Conditions, read_conditions
from app.domain.steps.scope import Names, Notes, ScopeInfo
from app.domain.steps.tasks import Asked, Assignee, TaskField

MAX_STEPS = 50
MAX_NAME = 200
MAX_KEY = 64


class StepType(StrEnum):
    """The stored word of a type of step. `label` is the word on the screen."""

    HTTP = "http"
    WEBHOOK = "webhook"
    HUMAN = "human"

    @property
    def label(self) -> str:
        return {"http": "API / HTTP", "webhook": "Webhook", "human": "Human task"}[self.value]


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


Keep = Literal["account", "grant"]


@dataclass(frozen=True, slots=True)
class CaptureRule:
    """Keep one value of an answer as `name`. `source` is a JSONPath (`$…`) or `header:Name`.

    The path must find exactly one value, unless `first` takes the first of several or `many` takes a list of them.
    `keep` says what it is kept with beyond the run, None for nothing.  `same`: it names the account that is known
    already, so that another value is another account.
    """

    name: str
    source: str
    optional: bool = False
    keep: Keep | None = "account"
    same: bool = False
    many: bool = False
    first: bool = False


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


class Head(TypedDict):
    """What is read of every step before its type reads the rest."""

    key: str
    name: str
    on_success: SuccessEdge
    on_failure: FailureEdge
    only_if: Conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseStep:
    """What a type says of itself stands in the class variables; what it does differently, in its own methods.

    `thing` begins the sentence about a field that it does not have, `members` are the fields of its own, and
    `calls_out` says that a worker makes a call for it, over a connection, of which it keeps values for the account.
    """

    type: ClassVar[StepType]
    thing: ClassVar[str]
    members: ClassVar[tuple[str, ...]]
    calls_out: ClassVar[bool] = False

    key: str
    name: str
    on_success: SuccessEdge = NEXT
    on_failure: FailureEdge = STOP
    only_if: Conditions = ()

    @property
    def connection_number(self) -> int | None:
        """The number of the connection that it uses; None when it uses none, or for text that cannot be one."""
        return None

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names that later steps may read as `steps.<key>.<name>`."""
        return ()

    @property
    def keeps(self) -> tuple[CaptureRule, ...]:
        """What it keeps beyond the run: with the account, or with the grant alone."""
        return ()

    @property
    def assignees(self) -> tuple[Assignee, ...]:
        """Those who are asked to act."""
        return ()

    @property
    def asks_for(self) -> tuple[TaskField, ...]:
        """What a person fills in."""
        return ()

    @property
    def may_create(self) -> bool:
        """True when something may be there afterwards that was not there before."""
        return False

    @property
    def looks_up(self) -> bool:
        """True when it finds what is there and keeps values of it, changing nothing."""
        return False

    @property
    def may_double(self) -> bool:
        """True when doing it again could do something twice."""
        return False

    def edges(self) -> Iterator[tuple[str, SuccessEdge | FailureEdge]]:
        """Each way on, with the name of its field."""
        yield "on_success", self.on_success
        yield "on_failure", self.on_failure

    def texts(self) -> Iterator[tuple[str, str]]:
        """Each text that may hold tokens, with the name of its field."""
        for index, one in enumerate(self.only_if):
            yield f"only_if[{index}].value", one.of

    def mappings(self) -> Mapping[str, Json]:
        """The mappings whose names are literal, by field."""
        return {}

    def overridable(self) -> list[str]:
        """The fields that one-off values may be given for: `userName`, `emails[0].value`, `query.filter`."""
        return []

    def same_call(self, other: BaseStep) -> bool:  # noqa: ARG002 - the shape of what types answer
        """True when both do the same thing to the same system, whatever they are called."""
        return False

    def ask(self, context: Mapping[str, object]) -> Asked | None:  # noqa: ARG002 - the shape of what types answer
        """What a person is asked to do when the run comes here; None when nobody is."""
        return None

    def details(self) -> list[str]:
        """What follows its summary in lists."""
        return []

    def sentences(self) -> list[str]:
        """What it does only sometimes, or asks of answers, each in a line of its own."""
        return ["Only if " + " and ".join(one.words for one in self.only_if)] if self.only_if else []

    def check(self, notes: Notes, info: ScopeInfo, following: Sequence[BaseStep]) -> None:
        """Note what lies neither in its templates nor in its edges. `following`: the steps after each success."""

    def in_words(self, names: Names) -> Mapping[str, Json]:  # noqa: ARG002 - the shape of what types answer
        """Values of its JSON as they read better when versions are compared, by field."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class InwardStep(BaseStep):
    """A step that sends nothing, so it uses no connection, never retries, and repeating it is harmless."""

    @property
    def call(self) -> None:
        return None

    @property
    def connection_id(self) -> None:
        return None

    @property
    def idempotent(self) -> bool:
        return True


def read_head(reader: Reader, key: str) -> Head:
    """The name and the edges."""
    return {
        "key": key,
        "name": reader.text("name", limit=MAX_NAME, default=key),
        "on_success": _on_success(reader),
        "on_failure": _on_failure(reader),
        "only_if": read_conditions(reader, "only_if", "value"),
    }


def edge_to_json(edge: SuccessEdge | FailureEdge) -> Json:
    if isinstance(edge, Edge):
        return edge.value
    return {"compensate" if isinstance(edge, Compensate) else "step": edge.key}


def _on_success(reader: Reader) -> SuccessEdge:
    words = [edge.value for edge in SUCCESS_EDGES]
    raw = reader.raw.get("on_success")
    if isinstance(raw, dict):
        found = _target(reader, "on_success", raw, ("step",))
        return GoTo(found[1]) if found else NEXT
    return Edge(reader.choice("on_success", words, default=NEXT.value))


def _on_failure(reader: Reader) -> FailureEdge:
    words = [edge.value for edge in FAILURE_EDGES]
    raw = reader.raw.get("on_failure")
    if isinstance(raw, dict):
        found = _target(reader, "on_failure", raw, ("step", "compensate"))
        if not found:
            return STOP
        return Compensate(found[1]) if found[0] == "compensate" else GoTo(found[1])
    return Edge(reader.choice("on_failure", words, default=STOP.value))


def _target(
    reader: Reader, name: str, raw: dict[object, object], kinds: tuple[str, ...]
) -> tuple[str, str] | None:
    """The kind and the key of an edge that names a step."""
    known = [kind for kind in kinds if kind in raw]
    if len(raw) != 1 or not known:
        reader.problem(name, "Name one step: " + " or ".join(f'{{"{kind}": "key"}}' for kind in kinds) + ".")
        return None
    inner = reader.inner(name, raw)
    return known[0], inner.identifier(known[0], limit=MAX_KEY, required="Name the step to go to.")
