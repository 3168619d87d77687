"""The difference between two definitions, by step and field, and what the second to save is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.steps.scope import Names
from app.domain.workflows.definition import Definition, describe_step
from app.domain.workflows.diff import Change, ChangeKind, diff_definitions
from app.models import Workflow, WorkflowVersion
from app.queries.workflow_scope import names_for
from app.queries.workflow_versions import read_steps
from app.web.workflows import cards
from app.web.workflows.drafts import Draft

_MINUS, _PLUS, _SAME = "−", "+", " "
# Looks of each kind of change: tone, word, icon.
LOOKS = {
    ChangeKind.ADDED: ("ok", "Added", "plus"),
    ChangeKind.REMOVED: ("bad", "Removed", "dash"),
    ChangeKind.MOVED: ("run", "Moved", "down"),
    ChangeKind.CHANGED: ("wait", "Changed", "edit"),
}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field: its lines, each with the sign that says whether it was (−), is (+) or stayed."""

    name: str
    lines: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class StepChange:
    """What became of one step, in words and by field."""

    key: str
    name: str
    kinds: Sequence[ChangeKind]
    words: Sequence[str]
    fields: Sequence[FieldChange]


def step_changes(old: Definition, new: Definition, names: Names) -> list[StepChange]:
    """The difference from `old` to `new`, one entry for each step that differs."""
    found: dict[str, list[Change]] = {}
    for one in diff_definitions(old, new, names):
        found.setdefault(one.step, []).append(one)
    return [_step_change(changes, old, new) for changes in found.values()]


def in_words(changes: Sequence[StepChange]) -> str:
    """How many steps differ, as a sentence."""
    if not changes:
        return "There is no difference: both do the same."
    return f"{len(changes)} step{' differs' if len(changes) == 1 else 's differ'}."


def _step_change(changes: Sequence[Change], old: Definition, new: Definition) -> StepChange:
    first = changes[0]
    words = [one.words for one in changes if one.kind is not ChangeKind.CHANGED]
    if first.kind is ChangeKind.ADDED:
        words.append(describe_step(new.step(first.step), new))
    if first.kind is ChangeKind.REMOVED:
        words.append(describe_step(old.step(first.step), old))
    return StepChange(
        key=first.step,
        name=first.name,
        kinds=list(dict.fromkeys(one.kind for one in changes)),
        words=words,
        fields=[_field(one) for one in changes if one.kind is ChangeKind.CHANGED],
    )


def _field(change: Change) -> FieldChange:
    return FieldChange(change.field or "", list(_lines(change.old, change.new)))


def _lines(old: str | None, new: str | None) -> Iterable[tuple[str, str]]:
    before, after = (_split(one) for one in (old, new))
    for kind, start, end, to_start, to_end in SequenceMatcher(
        a=before, b=after, autojunk=False
    ).get_opcodes():
        if kind == "equal":
            yield from ((_SAME, one) for one in before[start:end])
        else:
            yield from ((_MINUS, one) for one in before[start:end])
            yield from ((_PLUS, one) for one in after[to_start:to_end])


def _split(text: str | None) -> list[str]:
    if text is None:
        return []
    return [_visible(line) for line in text.split("\n")]


def _visible(line: str) -> str:
    """`line` with what would not be seen, or would turn the text around, written out as `\\u202e`."""
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in line)


@dataclass(frozen=True, slots=True)
class SavedMeanwhile:
    """What others saved since the draft was begun, and what saving the draft would then change of it.

    `mine` is None while a step of the draft cannot be read.
    """

    message: str
    begun_on: int
    theirs: Sequence[StepChange]
    mine: Sequence[StepChange] | None

    @property
    def looks(self) -> object:
        return LOOKS


def saved_meanwhile(session: Session, workflow: Workflow, draft: Draft, message: str) -> SavedMeanwhile:
    """The two differences: from the version that the draft was begun on to the newest, from there to the draft."""
    wanted = (draft.based_on, workflow.version_number)
    rows = select(WorkflowVersion.number, WorkflowVersion.steps).where(
        WorkflowVersion.workflow_id == workflow.id, WorkflowVersion.number.in_(wanted)
    )
    steps = {number: found for number, found in session.execute(rows)}
    begun, newest = (read_steps(one, steps.get(one, [])).definition for one in wanted)
    reading = cards.read(draft)
    names = names_for(session, workflow.application_id, [begun, newest, reading.definition])
    mine = step_changes(newest, reading.definition, names) if reading.is_whole else None
    return SavedMeanwhile(message, draft.based_on, step_changes(begun, newest, names), mine)
