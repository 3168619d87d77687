"""What a person can give for a failed step: the values that it would have kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.steps.registry import Step


@dataclass(frozen=True, slots=True)
class Wanted:
    """A value that somebody may type. `field` says how, of a step that asks a person; `many`: it is a list.

    `hint` says what is known of it.
    """

    name: str
    label: str
    required: bool
    many: bool = False
    field: Mapping[str, Any] | None = None
    hint: str = ""

    @property
    def choices(self) -> list[tuple[str, str]]:
        """What a choice is made from, for a form."""
        return [("", "Choose…"), *((one, one) for one in (self.field or {}).get("options", ()))]


def wanted_of(step: Step | None) -> list[Wanted]:
    """What `step` would have captured, or what it asks a person for."""
    if step is None:
        return []
    if step.call is not None:
        return [Wanted(one.name, one.name, not one.optional, one.many) for one in step.call.captures]
    return [
        Wanted(one.name, one.label, one.required, field={"type": one.type.value, "options": one.options})
        for one in step.asks_for
    ]


def lacking(wanted: Collection[Wanted], found: Collection[str]) -> list[Wanted]:
    """What of it is not known yet."""
    return [one for one in wanted if one.name not in found]
