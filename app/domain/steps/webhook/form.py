"""The webhook step in the editor."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.json_reader import Json, Problem
from app.domain.steps.call_fields import CALL_GROUPS, CALL_PARTS, call_values, read_call
from app.domain.steps.fields import StepForm, StepJson, Values


def _values(step: Mapping[str, Json]) -> dict[str, list[str]]:
    return call_values(step, idempotent=False, needs_body=True)


def _read(values: Values, errors: list[Problem]) -> StepJson:
    step = read_call(values, errors)
    return {**step, "body": {} if step["body"] is None else step["body"]}


FORM = StepForm(
    icon="send",
    previews="What would be sent",
    parts=CALL_PARTS,
    groups=CALL_GROUPS,
    blank={},
    values=_values,
    read=_read,
)
