"""The folded parts of the open step: what each holds in one line, and which of them are open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from app.domain.steps.call_fields import WAITING, poll_said, poll_values
from app.domain.steps.condition_rows import CONDITIONS, EXPECT, ONLY_IF, condition_rows, conditions_said
from app.domain.steps.fields import ON_STATUS, Values, first
from app.errors import FieldError
from app.web.workflows.inputs import base_of

_INPUTS: Mapping[str, Sequence[str]] = {
    "only_if": ("only_if", *ONLY_IF.columns),
    "expect": ("expect", *EXPECT.columns, "failure_reason"),
    "wait_when": WAITING,
    "on_status": ("on_status", *ON_STATUS.columns),
}
_USUAL = {one: values[0] for one, values in poll_values({}).items()}
FOLDED = (ONLY_IF, EXPECT, CONDITIONS["wait_when"], ON_STATUS)


def opened(uid: str, errors: Iterable[FieldError], focus: str) -> set[str]:
    """The folds that hold a problem, or what has the focus next."""
    wanted = {base_of(one.field) for one in errors} | {base_of(focus.removeprefix(f"step-{uid}-"))}
    return {name for name, inputs in _INPUTS.items() if wanted & set(inputs)}


def used(typed: Values) -> set[str]:
    """The folds that hold anything, if only a blank row: a plain step shows a button in place of the others."""
    found = {
        name
        for name, inputs in _INPUTS.items()
        if any(typed.get(one) for one in inputs if one.endswith("_of"))
    }
    if typed.get("on_status_code"):
        found.add("on_status")
    if first(typed, "failure_reason"):
        found.add("expect")
    poll = [first(typed, one) or usual for one, usual in _USUAL.items()]
    if first(typed, "wait_statuses") or poll != list(_USUAL.values()):
        found.add("wait_when")
    return found


def said(typed: Values, targets: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What each fold holds, "" for nothing."""
    names = dict(targets)
    ways = [f"{code.strip()} → {names.get(key, key)}" for _, (code, key) in condition_rows(typed, ON_STATUS)]
    return {
        **{name: conditions_said(typed, group) for name, group in CONDITIONS.items()},
        "waiting": _waiting(typed),
        "on_status": ", ".join(ways),
    }


def _waiting(typed: Values) -> str:
    conditions = conditions_said(typed, CONDITIONS["wait_when"])
    when = [one for one in (first(typed, "wait_statuses"), conditions and f"while {conditions}") if one]
    if not when:
        return ""
    return f"{' or '.join(when)}; {poll_said(typed)}"
