"""The tokens that the open step may use, grouped as people look for them, each with the sample's value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.domain.mapping.context import context_for
from app.domain.mapping.filters import Placeholder, as_text
from app.domain.runs.simulate import supposed
from app.domain.steps.registry import Step
from app.queries.samples import Sample

_LABELS = {"event": "Trigger event", "grantee": "Grantee", "application": "Application", "grant": "Grant"}
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Choice:
    """A token: its name and what it comes to for the sample, in words."""

    name: str
    value: str

    @property
    def text(self) -> str:
        """What is put into the field."""
        return f"{{{{ {self.name} }}}}"


@dataclass(frozen=True, slots=True)
class Group:
    label: str
    choices: list[Choice] = field(default_factory=list)


def grouped(names: Iterable[str], earlier: Sequence[Step], sample: Sample) -> list[Group]:
    """The tokens `names` by where their value comes from, in the order in which they are given."""
    captured, account = supposed(earlier, sample.account)
    context = context_for(replace(sample.subject, steps=captured, account=account))
    called = {one.key: one.name for one in earlier}
    groups: dict[str, Group] = {}
    for name in names:
        root, *rest = name.split(".")
        if root == "steps":
            place, label = f"steps.{rest[0]}", f"Step: {called.get(rest[0], rest[0])}"
        else:
            place, label = root, _LABELS.get(root, "Account, from earlier runs")
        groups.setdefault(place, Group(label)).choices.append(Choice(name, _words(_found(context, name))))
    return list(groups.values())


def _found(context: Mapping[str, object], name: str) -> object:
    found: object = context
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _words(value: object) -> str:
    if isinstance(value, Placeholder):
        return "known when it runs"
    text = as_text(value) if isinstance(value, str | int | float | bool | None) else ""
    return (text if len(text) <= _SHOWN else text[:_SHOWN] + "…") or "empty here"
