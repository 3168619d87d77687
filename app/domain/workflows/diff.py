"""What differs between two versions of a definition, step by step and field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.domain.json_reader import Json
from app.domain.mapping.templates import leaves
from app.domain.steps.registry import Step, step_to_json
from app.domain.steps.scope import NO_NAMES, Names
from app.domain.workflows.definition import Definition, describe_edge


class ChangeKind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    `step` is the step's key and `name` what it is called (in the newer version, where it is there).  For a
    changed field `field` is its dotted name (`retry.attempts`, `body.name.givenName`) and `old` and `new` its
    values as text, None where it was not there; for a moved step they are its places, from 1.
    """

    kind: ChangeKind
    step: str
    name: str
    field: str | None = None
    old: str | None = None
    new: str | None = None

    @property
    def words(self) -> str:
        """The difference as a sentence."""
        match self.kind:
            case ChangeKind.ADDED:
                return f"“{self.name}” was added."
            case ChangeKind.REMOVED:
                return f"“{self.name}” was removed."
            case ChangeKind.MOVED:
                return f"“{self.name}” moved from place {self.old} to {self.new}."
        if self.old is None:
            return f"“{self.name}”: {self.field} was added as {self.new}."
        if self.new is None:
            return f"“{self.name}”: {self.field}, which was {self.old}, was removed."
        return f"“{self.name}”: {self.field} changed from {self.old} to {self.new}."


def diff_definitions(old: Definition, new: Definition, names: Names = NO_NAMES) -> list[Change]:
    """All differences: steps removed, then for each step of `new` whether it was added, moved or changed.

    Steps are matched by key.  As few as possible are called moved; adding or removing one moves no other.
    What steps name by id is called as in `names`.
    """
    before, after = ({step.key: step for step in one.steps} for one in (old, new))
    changes = [Change(ChangeKind.REMOVED, one.key, one.name) for one in old.steps if one.key not in after]
    moved = _moved(
        [one.key for one in old.steps if one.key in after], [key for key in after if key in before]
    )
    places = {one.key: place for place, one in enumerate(old.steps, 1)}
    for place, step in enumerate(new.steps, 1):
        if step.key not in before:
            changes.append(Change(ChangeKind.ADDED, step.key, step.name))
            continue
        if step.key in moved:
            was = str(places[step.key])
            changes.append(Change(ChangeKind.MOVED, step.key, step.name, old=was, new=str(place)))
        changes += _changed_fields(before[step.key], step, names)
    return changes


def _moved(before: list[str], after: list[str]) -> set[str]:
    """The keys outside a longest common order of the two lists, which hold the same keys."""
    rank = {key: place for place, key in enumerate(before)}
    # The longest run of rising ranks that ends at each place; fifty steps need nothing cleverer.
    runs: list[list[str]] = [[]]
    for key in after:
        earlier = [run for run in runs if not run or rank[run[-1]] < rank[key]]
        runs.append([*_longest(earlier), key])
    return set(after) - set(_longest(runs))


def _longest(runs: list[list[str]]) -> list[str]:
    return max(runs, key=len)


def _changed_fields(old: Step, new: Step, names: Names) -> list[Change]:
    before, after = _shape(old, names), _shape(new, names)
    return [
        Change(ChangeKind.CHANGED, new.key, new.name, *found)
        for part in dict.fromkeys([*before, *after])
        if _json(before.get(part)) != _json(after.get(part))
        for found in value_changes(part, before, after)
    ]


def value_changes(
    part: str, before: Mapping[str, Json], after: Mapping[str, Json]
) -> list[tuple[str, str | None, str | None]]:
    """What differs in `part` of two objects, value by value where that tells it apart.

    Each is a dotted name and both values as text, None where there is none.
    """
    old, new = (dict(leaves(one[part], part)) if part in one else {} for one in (before, after))
    changes: list[tuple[str, str | None, str | None]] = []
    for name in dict.fromkeys([*old, *new]):
        same = name in old and name in new and _json(old[name]) == _json(new[name])
        # An empty object or list is told by what was put in or taken out.
        if not same and not (name == part and (_inside(name, old) or _inside(name, new))):
            changes.append((name, *_texts(old, new, name)))
    return changes or [(part, _json(before.get(part)), _json(after.get(part)))]


def _inside(name: str, fields: dict[str, Json]) -> bool:
    return any(one != name for one in fields)


def _shape(step: Step, names: Names) -> dict[str, Json]:
    """The step's JSON, with words where those read better."""
    shape = step_to_json(step)
    shape |= {"on_success": describe_edge(step.on_success), "on_failure": describe_edge(step.on_failure)}
    return {**shape, **step.in_words(names)}


def _texts(old: dict[str, Json], new: dict[str, Json], name: str) -> tuple[str | None, str | None]:
    """Both values as text, None where there is none. Strings stand bare unless that hides the difference."""
    was, now = (_bare(one[name]) if name in one else None for one in (old, new))
    if was == now:
        was, now = (_json(one[name]) for one in (old, new))
    return was, now


def _bare(value: Json) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
