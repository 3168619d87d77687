"""What two dry-runs for the same person do differently: which requests change, and what breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.domain.json_reader import Json
from app.domain.states import RunStatus
from app.domain.steps.calls import Prepared
from app.domain.workflows.diff import value_changes
from app.queries.dry_run import DryRun, DryStep


class DifferenceKind(StrEnum):
    """What became of a step's request, worst first."""

    BREAKS = "breaks"
    STILL_BREAKS = "still_breaks"
    ENDS = "ends"
    DROPPED = "dropped"
    ADDED = "added"
    CHANGED = "changed"
    MENDED = "mended"


@dataclass(frozen=True, slots=True)
class RequestDifference:
    """One difference. `what` is the same for each person that it happens to; `old` and `new` are theirs."""

    kind: DifferenceKind
    what: str
    old: str | None = None
    new: str | None = None

    @property
    def words(self) -> str:
        """The difference as a sentence, with this person's values."""
        if self.kind is not DifferenceKind.CHANGED:
            return f"{self.what}{f': {self.new}' if self.new else '.'}"
        if self.old is None:
            return f"{self.what} is added: {self.new}"
        return (
            f"{self.what} is left out: {self.old}"
            if self.new is None
            else f"{self.what}: {self.old} → {self.new}"
        )


def differences(old: DryRun | None, new: DryRun) -> list[RequestDifference]:
    """What `new` does differently from `old`, which is None where there was nothing before."""
    before, after = _done(old), _done(new)
    found = [one for key, step in after.items() for one in _step_differences(before.get(key), step)]
    found += [
        RequestDifference(
            DifferenceKind.DROPPED,
            f"“{one.step.name}” is no longer {'asked' if one.prompt else 'sent'}",
            None,
        )
        for key, one in before.items()
        if key not in after and one.visit.ok
    ]
    if old is not None and old.end is not new.end:
        words = f"The run ends as {new.end.label.lower()} instead of {old.end.label.lower()}"
        found.append(RequestDifference(DifferenceKind.ENDS, words))
    if [key for key in before if key in after] != [key for key in after if key in before]:
        found.append(
            RequestDifference(DifferenceKind.CHANGED, "The order of the steps", "as before", "another one")
        )
    return found


def _done(way: DryRun | None) -> dict[str, DryStep]:
    """The steps on the way by key, without those that are passed over."""
    return {one.step.key: one for one in (way.steps if way else ()) if not one.visit.skipped}


def breaks(old: DryRun | None, new: DryRun, found: list[RequestDifference]) -> bool:
    """Whether `new` fails where `old` did not."""
    was_failed = old is not None and old.end is RunStatus.FAILED
    return any(one.kind is DifferenceKind.BREAKS for one in found) or (
        new.end is RunStatus.FAILED and not was_failed
    )


def _step_differences(old: DryStep | None, new: DryStep) -> Iterator[RequestDifference]:
    name = new.step.name
    if not new.visit.ok:
        reason = new.warnings[0] if new.warnings else ""
        kind = DifferenceKind.STILL_BREAKS if old is not None and not old.visit.ok else DifferenceKind.BREAKS
        yield RequestDifference(
            kind, f"“{name}” fails{' as before' if kind is DifferenceKind.STILL_BREAKS else ''}", None, reason
        )
        return
    if old is not None and not old.visit.ok:
        yield RequestDifference(DifferenceKind.MENDED, f"“{name}” no longer fails")
        return
    if old is None or (old.request is None) != (new.request is None):
        request = new.request
        sent = f"{request.method} {request.url}" if request is not None else new.prompt
        yield RequestDifference(
            DifferenceKind.ADDED,
            f"“{name}” is {'sent' if request is not None else 'asked'} as well",
            None,
            sent,
        )
        return
    before, after = _shape(old), _shape(new)
    for part in dict.fromkeys([*before, *after]):
        if part not in before or part not in after or _text(before[part]) != _text(after[part]):
            for field, was, now in value_changes(part, before, after):
                yield RequestDifference(DifferenceKind.CHANGED, f"“{name}”, {field}", was, now)


def _shape(one: DryStep) -> dict[str, Json]:
    """What a step sends or asks, part by part, so that each can be compared by itself."""
    if one.request is None:
        return {"prompt": one.prompt}
    request = one.request
    headers: dict[str, Json] = {f"header {name}": text for name, text in _headers(request).items()}
    return {"method": request.method, "URL": request.url, **headers, **_body(request)}


def _headers(request: Prepared) -> Mapping[str, str]:
    return {name.lower(): text for name, text in request.headers.items()}


def _body(request: Prepared) -> dict[str, Json]:
    if request.body is None:
        return {}
    text = request.body.decode()
    try:
        return {"body": json.loads(text)}
    except ValueError:
        return {"body": text}


def _text(value: Json) -> str:
    return json.dumps(value, sort_keys=True)
