"""What the selects in the editor's rows offer, by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.domain.steps.condition_rows import THAN_KINDS
from app.domain.steps.conditions import Is
from app.domain.steps.rows import KINDS

Choices = Sequence[tuple[str, str]]
_IS = [(one.value, one.label) for one in Is]
# An answer is mostly compared with something; a known value mostly is there or is not.
_IS_OF_ANSWER = sorted(_IS, key=lambda one: Is(one[0]).stands_alone)
_FIXED: Mapping[str, Choices] = {
    "query_kind": KINDS,
    "body_kind": KINDS,
    "capture_optional": (("", "Required"), ("1", "Optional")),
    "capture_keep": (
        ("", "With the account"),
        ("same", "As the same account"),
        ("grant", "With this grant alone"),
        ("run", "For this run only"),
    ),
    "capture_of": (
        ("", "Exactly one"),
        ("first", "The first of them"),
        ("list", "All, as a list"),
    ),
    "field_type": (("text", "Text"), ("number", "Number"), ("boolean", "Yes or no"), ("choice", "Choice")),
    "field_required": (("", "Optional"), ("1", "Required")),
    "only_if_is": _IS,
    "expect_is": _IS_OF_ANSWER,
    "wait_when_is": _IS_OF_ANSWER,
    **{f"{at}_kind": THAN_KINDS for at in ("only_if", "expect", "wait_when")},
}


def row_choices(targets: Choices) -> Mapping[str, Choices]:
    """The choices of every column that is a select; `targets` are the steps that a way may lead to."""
    return {**_FIXED, "on_status_step": [("", "Choose a step"), *targets]}
