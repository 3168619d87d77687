"""A workflow's definition: from the JSON of the API to typed steps and back, and in words.

`parse_definition` looks at each field by itself; what the steps mean together is the business of `checks`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.domain.json_reader import MAX_PROBLEMS, Json, Problem, Reader
from app.domain.steps.base import MAX_STEPS, NEXT, Compensate, FailureEdge, GoTo, SuccessEdge
from app.domain.steps.registry import Step, read_step, step_to_json


@dataclass(frozen=True, slots=True)
class Definition:
    """The steps of one version, in order. When two share a key, `step` gives the first."""

    steps: tuple[Step, ...] = ()
    compensation_keys: frozenset[str] = field(init=False, repr=False, compare=False)
    _by_key: dict[str, Step] = field(init=False, repr=False, compare=False)
    _below: dict[str, str | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        undoing = frozenset(
            one.on_failure.key for one in self.steps if isinstance(one.on_failure, Compensate)
        )
        object.__setattr__(self, "compensation_keys", undoing)
        object.__setattr__(self, "_by_key", {one.key: one for one in reversed(self.steps)})
        below: dict[str, str | None] = {}
        following: str | None = None
        for one in reversed(self.steps):
            if one.key in undoing:
                below[one.key] = None
            else:
                below[one.key] = following
                following = one.key
        object.__setattr__(self, "_below", below)

    def __contains__(self, key: object) -> bool:
        return key in self._by_key

    def step(self, key: str) -> Step:
        """The step named `key`; raises KeyError when there is none."""
        return self._by_key[key]

    @property
    def first(self) -> str | None:
        """Where a run starts, or None when no step is left to start with."""
        return next((one.key for one in self.steps if one.key not in self.compensation_keys), None)

    def kept(self, key: str, values: Mapping[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
        """Which of the values that the step `key` captured are kept with the account, and which with the grant.

        Of a step that is not known all belong to the account.
        """
        step = self._by_key.get(key)
        if step is None:
            return dict(values), {}
        homes = {rule.name: rule.keep for rule in step.keeps}
        found = [(homes.get(name), name, value) for name, value in values.items()]
        account = {name: value for home, name, value in found if home == "account"}
        return account, {name: value for home, name, value in found if home == "grant"}

    def next_after(self, key: str) -> str | None:
        """The step below `key`, past those used for compensation, or None at the end.

        After a compensation step the run is over, so nothing follows one.
        """
        return self._below[key]


def parse_definition(raw: object) -> tuple[Definition | None, list[Problem]]:
    """Read the `steps` of a workflow version.

    Never raises, whatever JSON `raw` is.  Returns the definition, or None with all that is wrong with it; at
    most 100 problems are listed.
    """
    if not isinstance(raw, list):
        return None, [Problem("steps", "The steps must be a list.")]
    if len(raw) > MAX_STEPS:
        return None, [Problem("steps", f"A workflow can have {MAX_STEPS} steps; this has {len(raw):,}.")]
    problems: list[Problem] = []
    steps: list[Step] = []
    for index, one in enumerate(raw):
        if not isinstance(one, dict):
            problems.append(Problem(f"steps[{index}]", "A step must be an object."))
            continue
        step = read_step(Reader(one, f"steps[{index}]", problems))
        if step is not None:
            steps.append(step)
    if problems:
        return None, problems[:MAX_PROBLEMS]
    return Definition(tuple(steps)), []


def to_json(definition: Definition) -> list[dict[str, Json]]:
    """The definition as the API shows it, each default written out. `parse_definition` reads it back."""
    return [step_to_json(step) for step in definition.steps]


def canonical(definition: Definition) -> str:
    """One text for one meaning: two definitions are the same version iff these texts are equal.

    `==` will not do, since Python holds 1, 1.0 and True to be equal and a receiving system does not.
    """
    return json.dumps(to_json(definition), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def describe_step(step: Step, definition: Definition | None = None) -> str:
    """One line for lists: `POST /users → 2xx · 3 tries, exponential · on failure: escalate to a human`.

    With the definition, steps are called by their names and one used for compensation says so.
    """
    said = [f"{one[0].lower()}{one[1:]}" for one in step.sentences()]
    pieces = [step.summary, *step.details(), *said, *(words for words, _ in ways_by_status(step, definition))]
    if definition is not None and step.key in definition.compensation_keys:
        return " · ".join([*pieces, "runs to undo, then the run ends"])
    if step.on_success is not NEXT:
        pieces.append(f"then {describe_edge(step.on_success, definition)}")
    pieces.append(f"on failure: {describe_edge(step.on_failure, definition)}")
    return " · ".join(pieces)


def ways_by_status(step: Step, definition: Definition | None = None) -> list[tuple[str, str]]:
    """Each way by status in words, and the key of the step that it leads to: `HTTP 404 → “Create”`."""
    return [
        (f"HTTP {name.partition('.')[2]} → {_called(edge.key, definition)}", edge.key)
        for name, edge in step.edges()
        if isinstance(edge, GoTo) and name.startswith("on_status.")
    ]


def describe_edge(edge: SuccessEdge | FailureEdge, definition: Definition | None = None) -> str:
    """Where an edge leads, as the end of a sentence: `end the run`, `go to “Look up”`."""
    match edge:
        case GoTo(key=key):
            return f"go to {_called(key, definition)}"
        case Compensate(key=key):
            return f"compensate with {_called(key, definition)}"
    return edge.label[0].lower() + edge.label[1:]


def _called(key: str, definition: Definition | None) -> str:
    name = definition.step(key).name if definition is not None and key in definition else key
    return f"“{name}”"
