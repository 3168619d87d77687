"""JSON is read without the liberties that Python's reader takes."""

from __future__ import annotations

import json

import pytest

from app.domain.json_reader import NamedTwice, NoConstant, strict_json


def test_json_is_read_as_the_standard_has_it() -> None:
    assert strict_json('{"a": [1, 2.5, "x", true, null], "b": {"a": 1}}') == {
        "a": [1, 2.5, "x", True, None],
        "b": {"a": 1},
    }


@pytest.mark.parametrize(
    ("text", "refused", "message"),
    [
        ('{"a": 1, "b": 2, "b": 3, "a": 4}', NamedTwice, "b"),
        ('[{"x": {"a": 1, "a": 1}}]', NamedTwice, "a"),
        ("[NaN]", NoConstant, "NaN"),
        ('{"a": -Infinity}', NoConstant, "-Infinity"),
        ('{"a": 1', json.JSONDecodeError, "Expecting"),
        ("9" * 5000, ValueError, "digits"),
        ("[" * 100_000, RecursionError, "recursion"),
    ],
    ids=["name twice", "name twice inside", "NaN", "infinity", "broken off", "long number", "deep"],
)
def test_liberties_are_refused(text: str, refused: type[Exception], message: str) -> None:
    with pytest.raises(refused, match=message):
        strict_json(text)
