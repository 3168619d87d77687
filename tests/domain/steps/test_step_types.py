"""Every type of step has all its parts, so that a new one cannot be half there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

import app
from app.domain.json_reader import Json
from app.domain.steps.base import StepType
from app.domain.steps.forms import FORMS, from_values, to_values
from app.domain.steps.registry import STEP_TYPES, Step, step_to_json
from app.domain.steps.scope import NO_NAMES, ScopeInfo
from app.domain.workflows.checks import check_definition
from app.domain.workflows.definition import canonical, describe_step, parse_definition
from app.domain.workflows.diff import diff_definitions
from tests.support.domain.step_strategies import steps

TEMPLATES = Path(app.__file__).parent / "templates" / "steps"


def read(step: dict[str, Json]) -> Step:
    found, problems = parse_definition([step])
    assert found is not None, problems
    return found.steps[0]


def test_every_type_is_registered_with_its_form() -> None:
    assert set(STEP_TYPES) == set(FORMS) == set(StepType)


@pytest.mark.parametrize("kind", StepType)
def test_every_type_says_what_it_is_called_and_which_fields_it_has(kind: StepType) -> None:
    known = STEP_TYPES[kind]
    assert kind.label
    assert known.thing
    assert len(known.members) == len(set(known.members)) > 0


@pytest.mark.parametrize("kind", StepType)
def test_every_type_has_a_template_that_draws_each_part(kind: StepType) -> None:
    text = (TEMPLATES / f"{kind}.html").read_text(encoding="utf-8")
    assert all(f"macro {part}()" in text for part in ("general", "data", "retry"))


@pytest.mark.parametrize("kind", StepType)
def test_a_new_step_of_every_type_is_shown_in_the_editor_and_only_lacks_values(kind: StepType) -> None:
    form = FORMS[kind]
    values = to_values({"key": "new", "name": "New", "type": kind.value, **form.blank})
    assert all(column in values for group in form.groups.values() for column in group.columns)
    step, errors = from_values(values)
    assert errors == []
    _definition, problems = parse_definition([step])
    assert all("has no field" not in one.message for one in problems)


@given(steps)
def test_a_step_of_any_type_is_the_same_read_back_described_checked_and_compared(
    raw: dict[str, Json],
) -> None:
    step = read(raw)
    assert step_to_json(read(step_to_json(step))) == step_to_json(step)
    assert set(step.to_json()) <= set(step.members)
    assert step.summary in describe_step(step)
    assert set(step.in_words(NO_NAMES)) <= set(step.members)
    definition, _ = parse_definition([raw])
    assert definition is not None
    check_definition(definition, ScopeInfo())
    assert diff_definitions(definition, definition) == []
    assert (step.call is step) == step.calls_out
    assert step.calls_out or step.connection_number is None
    if not step.calls_out:
        assert step.overridable() == []
        assert not step.may_double


def is_typeable(raw: dict[str, Any]) -> bool:
    """Whether inputs can hold it: whole delays, lines as browsers send them, names without blanks."""
    delay = raw.get("retry", {}).get("delay_seconds", 1)
    options = [option for one in raw.get("fields", ()) for option in one.get("options", ())]
    return (
        isinstance(delay, int)
        and not any("\n" in one or "\r" in one for one in options)
        and "\r" not in raw.get("prompt", "")
        and all(name == name.strip() for name in raw.get("query", {}))
    )


@given(steps.filter(is_typeable))
def test_a_step_of_any_type_means_the_same_after_the_editor(raw: dict[str, Json]) -> None:
    definition, _ = parse_definition([raw])
    assert definition is not None
    shown = step_to_json(definition.steps[0])
    again, errors = from_values(to_values(shown))
    assert errors == []
    after, problems = parse_definition([again])
    assert after is not None, problems
    assert canonical(after) == canonical(definition)
