"""What an answer says of itself, and what the builder proposes to expect of every other."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.steps.conditions import STATUS, place_problem
from app.domain.steps.proposals import SHAPES, noticed


@pytest.mark.parametrize(
    ("answer", "shapes", "words"),
    [
        ({"ok": False, "error": "not_found"}, ["ok", "error"], "This one says ok: false. Shall it count"),
        ({"success": "false"}, ["success"], "success: false"),
        ({"data": None, "errors": [{"message": "no"}]}, ["errors"], "it holds errors"),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": 1}}, ["rpc"], "it holds error"),
        ({"error": {"code": 5}}, ["error"], "it holds error"),
    ],
)
def test_an_answer_that_says_no_is_noticed(answer: dict[str, Any], shapes: list[str], words: str) -> None:
    found = noticed(answer)
    assert [one.shape for one in found] == shapes
    assert all(one.failed for one in found)
    assert words in found[0].words
    assert not any(
        all(one.holds(answer.get(one.of.removeprefix("$."))) for one in SHAPES[shape].expect)
        for shape in shapes
    )


@pytest.mark.parametrize(
    "answer",
    [{"ok": True}, {"success": True}, {"errors": []}, {"jsonrpc": "2.0", "result": 1}, {"error": None}],
)
def test_one_that_says_yes_can_hold_the_others_to_it(answer: dict[str, Any]) -> None:
    [found] = noticed(answer)
    assert not found.failed
    assert "Shall every answer have to?" in found.words
    assert all(one.holds(answer.get(one.of.removeprefix("$."))) for one in SHAPES[found.shape].expect)


@pytest.mark.parametrize("answer", [None, [], "ok", 7, {"id": "u-1", "ok": "maybe"}, [{"ok": False}]])
def test_one_that_says_neither_is_left_alone(answer: Any) -> None:
    assert noticed(answer) == []


def test_what_is_proposed_can_be_saved() -> None:
    places = [one.of for shape in SHAPES.values() for one in shape.expect]
    reasons = [shape.failure_reason for shape in SHAPES.values() if shape.failure_reason]
    assert not any(place_problem(one) for one in [*places, *reasons])
    assert STATUS not in reasons
