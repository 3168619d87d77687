"""One step of any type as the fields of the editor, and back to the JSON of the API."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.json_reader import Json, Problem
from app.domain.steps.base import StepType
from app.domain.steps.condition_rows import ONLY_IF, condition_values, read_condition_rows
from app.domain.steps.fields import StepForm, StepJson, Values, first, slug, text_of
from app.domain.steps.http.form import FORM as HTTP
from app.domain.steps.human.form import FORM as HUMAN
from app.domain.steps.webhook.form import FORM as WEBHOOK

FORMS: Mapping[str, StepForm] = {
    StepType.HTTP: HTTP,
    StepType.WEBHOOK: WEBHOOK,
    StepType.HUMAN: HUMAN,
}


def kind_shown(kind: str) -> str:
    """The type whose fields are shown for `kind`: a step of a type that does not exist shows those of a call."""
    return kind if kind in FORMS else StepType.WEBHOOK


def to_values(step: StepJson) -> dict[str, list[str]]:
    """The editor's fields for `step`, whatever JSON it holds."""
    kind = text_of(step.get("type"))
    return {
        "type": [kind],
        "name": [text_of(step.get("name"))],
        "key": [text_of(step.get("key"))],
        **condition_values(ONLY_IF, step.get("only_if"), "value"),
        **_edge_values("on_success", step.get("on_success"), "next"),
        **_edge_values("on_failure", step.get("on_failure"), "stop"),
        **FORMS[kind_shown(kind)].values(step),
    }


def from_values(values: Values) -> tuple[StepJson, list[Problem]]:
    """The step that the fields describe, and those that no JSON can hold. A blank key comes from the name."""
    errors: list[Problem] = []
    kind, name = first(values, "type"), first(values, "name").strip()
    step: StepJson = {
        "key": first(values, "key").strip() or slug(name),
        "name": name,
        "type": kind,
        **read_condition_rows(values, ONLY_IF, "value", errors),
        **FORMS[kind_shown(kind)].read(values, errors),
        "on_success": _edge_from(values, "on_success", "next"),
        "on_failure": _edge_from(values, "on_failure", "stop"),
    }
    return step, errors


def _edge_values(name: str, edge: Json, default: str) -> dict[str, list[str]]:
    """Which way it goes, and beside it the step that two of the ways name."""
    if isinstance(edge, dict):
        kind, key = next(iter(edge.items()), ("step", ""))
        return {name: [kind], f"{name}_step": [text_of(key)]}
    return {name: [text_of(edge) or default], f"{name}_step": [""]}


def _edge_from(values: Values, name: str, default: str) -> Json:
    way = first(values, name) or default
    return {way: first(values, f"{name}_step")} if way in ("step", "compensate") else way
