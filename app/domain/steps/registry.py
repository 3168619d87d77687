"""The types of steps there are, and the JSON of a step of any type read and written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from app.domain.json_reader import Json, Reader
from app.domain.steps.base import MAX_KEY, StepType, edge_to_json, read_head
from app.domain.steps.conditions import conditions_to_json
from app.domain.steps.http.step import HttpStep
from app.domain.steps.human.step import HumanStep
from app.domain.steps.webhook.step import WebhookStep

AnyCall: TypeAlias = HttpStep | WebhookStep
Step: TypeAlias = AnyCall | HumanStep

STEP_TYPES: Mapping[StepType, type[Step]] = {one.type: one for one in (HttpStep, WebhookStep, HumanStep)}
_COMMON = ("key", "name", "type", "only_if", "on_success", "on_failure")


def read_step(reader: Reader) -> Step | None:
    """The step in `reader`; where a problem was noted, its values are stand-ins to be thrown away."""
    key = reader.identifier("key", limit=MAX_KEY, required="Give the step a key.")
    reader.step = key or None
    word = reader.choice("type", [one.value for one in STEP_TYPES], default="", required="Choose a type.")
    if not word:
        return None
    kind = STEP_TYPES[StepType(word)]
    reader.refuse_unknown((*_COMMON, *kind.members), kind.thing)
    return kind.read(reader, read_head(reader, key))


def step_to_json(step: Step) -> dict[str, Json]:
    """The step as the API shows it, each default written out.

    Mappings are copied: a definition is shared, and what the caller does to the JSON must not reach it.
    """
    # Named only where there are any: most steps do without.
    only_if: dict[str, Json] = {"only_if": conditions_to_json(step.only_if, "value")} if step.only_if else {}
    edges = {"on_success": edge_to_json(step.on_success), "on_failure": edge_to_json(step.on_failure)}
    return {"key": step.key, "name": step.name, "type": step.type.value, **only_if, **step.to_json(), **edges}
