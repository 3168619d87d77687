"""The draft as the editor shows it: one card for each step, with words for it and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from markupsafe import Markup

from app.domain.json_reader import Problem
from app.domain.mapping.tokens import Scope
from app.domain.runs.retry import retry_delay
from app.domain.steps.base import NEXT, GoTo, StepType
from app.domain.steps.fields import Values, decimal, first, text_of, whole
from app.domain.steps.forms import FORMS
from app.domain.steps.registry import Step
from app.domain.steps.scope import ScopeInfo
from app.domain.workflows.checks import check_definition
from app.domain.workflows.definition import Definition, describe_edge, parse_definition, ways_by_status
from app.domain.workflows.graph import earlier_steps
from app.errors import FieldError
from app.web.forms import FormState
from app.web.template_filters import duration
from app.web.workflows.drafts import Draft, Slot
from app.web.workflows.inputs import fields_of

_STEP = re.compile(r"steps\[([0-9]+)\]\.?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class EditorCard:
    """One step on the page. `unfinished` says what keeps it from being read, "" when nothing does.

    `inputs` are those that the warnings of an open step are about, by their words.
    """

    uid: str
    number: int
    kind: str
    type_label: str
    name: str
    key: str
    packed: Markup
    summary: str
    success: str
    failure: str
    said: Sequence[str]
    ways: Sequence[tuple[str, str]]
    arrivals: Sequence[str]
    unfinished: str
    is_open: bool
    errors: Sequence[str]
    warnings: Sequence[str]
    inputs: Mapping[str, str]

    @property
    def icon(self) -> str:
        return FORMS[self.kind].icon if self.kind in FORMS else "dash"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the engine makes of the draft: each step it can read, and the definition of those together.

    `unread` is what keeps steps from being read, `problems` what those that can be mean together.
    """

    steps: Sequence[Step | None]
    unread: Sequence[FieldError]
    definition: Definition
    problems: Sequence[Problem] = field(default_factory=tuple)

    @property
    def errors(self) -> list[FieldError]:
        """Everything for which saving the draft would be refused."""
        found = [FieldError(one.field, one.message) for one in self.problems if one.severity == "error"]
        return [*self.unread, *found]

    @property
    def notes(self) -> list[str]:
        """What the steps together may do that their author may not expect."""
        return [one.message for one in self.problems if one.severity == "warning" and one.field == "steps"]

    @property
    def is_whole(self) -> bool:
        return len(self.definition.steps) == len(self.steps)

    def checked(self, info: ScopeInfo) -> Reading:
        """With what is wrong with the steps together; nothing while one of them cannot be read."""
        return replace(self, problems=check_definition(self.definition, info) if self.is_whole else ())


def read(draft: Draft) -> Reading:
    """Read every step by itself."""
    steps: list[Step | None] = []
    unread: list[FieldError] = []
    for at, slot in enumerate(draft.slots):
        one, problems = parse_definition([slot.step])
        steps.append(one.steps[0] if one is not None and one.steps else None)
        unread += [FieldError(f"steps[{at}]{_inside(problem)}", problem.message) for problem in problems]
    definition = Definition(tuple(one for one in steps if one is not None))
    return Reading(steps, unread, definition)


def _inside(problem: Problem) -> str:
    """The name of a problem's field after its step, which was read as the only one."""
    return problem.field.removeprefix("steps[0]")


def cards(draft: Draft, reading: Reading, errors: Iterable[FieldError] = ()) -> list[EditorCard]:
    """The cards in order. `errors` are those of a refused save, named as the API names them."""
    refused, unread = by_step(errors), by_step(reading.unread)
    warned = by_step(
        FieldError(one.field, one.message) for one in reading.problems if one.severity == "warning"
    )
    return [
        _card(
            draft,
            slot,
            at,
            reading,
            unfinished=next((one.message for one in unread.get(at, ())), ""),
            errors=[one.message for one in refused.get(at, ())],
            warnings=[one.message for one in warned.get(at, ())],
            inputs=_inputs(draft, slot, warned.get(at, ())),
        )
        for at, slot in enumerate(draft.slots)
    ]


def _card(
    draft: Draft,
    slot: Slot,
    at: int,
    reading: Reading,
    *,
    unfinished: str,
    errors: list[str],
    warnings: list[str],
    inputs: dict[str, str],
) -> EditorCard:
    step = reading.steps[at]
    kind = text_of(slot.step.get("type"))
    undoes = step is not None and step.key in reading.definition.compensation_keys
    return EditorCard(
        uid=slot.uid,
        number=at + 1,
        kind=kind,
        type_label=StepType(kind).label if kind in FORMS else "Unknown type",
        name=slot.name,
        key=slot.key,
        packed=slot.packed(),
        summary=_summary(step) if step is not None else "",
        success=""
        if step is None or step.on_success is NEXT or undoes
        else _edge(step, reading, "on_success"),
        failure=_undoing() if undoes else "" if step is None else _edge(step, reading, "on_failure"),
        said=step.sentences() if step is not None else (),
        ways=_ways(draft, step, reading) if step is not None else (),
        arrivals=_arrivals(slot.key, reading),
        unfinished=unfinished,
        is_open=slot.uid == draft.open,
        errors=errors,
        warnings=warnings,
        inputs=inputs,
    )


def _inputs(draft: Draft, slot: Slot, warned: Iterable[FieldError]) -> dict[str, str]:
    if slot.uid != draft.open or draft.errors:
        return {}
    found = list(warned)
    places = fields_of(found, draft.typed)
    return {one.message: place.field for one, place in zip(found, places, strict=True)}


def _summary(step: Step) -> str:
    # Its edges and what it does only sometimes have lines of their own.
    return " · ".join([step.summary, *step.details()])


def _ways(draft: Draft, step: Step, reading: Reading) -> list[tuple[str, str]]:
    """Each way by status, and the uid of the step that it leads to, "" where there is none."""
    uids = {slot.key: slot.uid for slot in reversed(draft.slots)}
    return [(words, uids.get(key, "")) for words, key in ways_by_status(step, reading.definition)]


def _arrivals(key: str, reading: Reading) -> list[str]:
    """From where a run comes to this step other than from the one above it."""
    found: list[str] = []
    for one in reading.definition.steps:
        for name, edge in one.edges():
            if isinstance(edge, GoTo) and edge.key == key:
                when = f"on HTTP {name.partition('.')[2]}" if "." in name else _WHEN[name]
                found.append(f"From “{one.name}” {when}")
    return found


_WHEN = {"on_success": "when it succeeds", "on_failure": "when it fails"}


def _edge(step: Step, reading: Reading, name: str) -> str:
    edge = step.on_success if name == "on_success" else step.on_failure
    words = describe_edge(edge, reading.definition)
    return f"Then {words}" if name == "on_success" else f"On failure: {words}"


def _undoing() -> str:
    return "Runs only to undo; then the run ends"


def by_step(errors: Iterable[FieldError]) -> dict[int, list[FieldError]]:
    """Errors by the position of their step, the rest of the name kept; those of no step are left out."""
    found: dict[int, list[FieldError]] = {}
    for error in errors:
        match = _STEP.fullmatch(error.field)
        if match is not None:
            found.setdefault(int(match[1]), []).append(FieldError(match[2], error.message))
    return found


def open_form(draft: Draft, errors: Iterable[FieldError]) -> FormState:
    """The open step's fields with what is wrong with them."""
    return FormState(draft.typed, [*draft.errors, *fields_of(errors, draft.typed)])


def tokens(draft: Draft, reading: Reading, info: ScopeInfo) -> list[str]:
    """The tokens that the open step may use; nothing when none is open."""
    slot = draft.opened
    if slot is None:
        return []
    outputs = {one.key: one.outputs for one in earlier(draft, reading)}
    return list(Scope(outputs, info.account_names, kept_names=info.kept_names).available)


def earlier(draft: Draft, reading: Reading) -> list[Step]:
    """The steps that can have run before the open one; those above it while the steps do not fit together."""
    slot = draft.opened
    if slot is None:
        return []
    if reading.is_whole and slot.key in reading.definition and _keys_differ(draft):
        keys = earlier_steps(reading.definition)[slot.key]
        return [one for one in reading.definition.steps if one.key in keys]
    above = reading.steps[: draft.slots.index(slot)]
    return [one for one in above if one is not None]


def _keys_differ(draft: Draft) -> bool:
    return len({slot.key for slot in draft.slots}) == len(draft.slots)


def targets(draft: Draft) -> list[tuple[str, str]]:
    """The other steps, as an edge may name them: key and what it is called."""
    return [
        (slot.key, f"{at}. {slot.name}")
        for at, slot in enumerate(draft.slots, 1)
        if slot.uid != draft.open and slot.key
    ]


def schedule(values: Values) -> str:
    """When the tries happen: `Tries at 0 s, 2 s and 6 s`. "" when it cannot be said."""
    attempts = whole(first(values, "attempts")) if first(values, "retry_on") else 1
    delay = decimal(first(values, "delay_seconds") or "1")
    if not isinstance(attempts, int) or not isinstance(delay, int | float) or not 1 <= attempts <= 10:
        return ""
    if not 0 <= delay <= 3600:
        return ""
    if attempts == 1:
        return "One try, at once."
    at, times = 0.0, ["0 s"]
    for tries in range(1, attempts):
        at += retry_delay(
            backoff=first(values, "backoff"), delay_seconds=delay, tries=tries, retry_after=None, jitter=0
        )
        times.append(_seconds(at))
    listed = f"{', '.join(times[:-1])} and {times[-1]}"
    return f"Tries at {listed}, if each fails at once. Up to a tenth is added to each wait."


def _seconds(amount: float) -> str:
    return f"{amount:g} s" if amount < 60 else duration(amount * 1000)
