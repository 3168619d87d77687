"""What conditions say, how they are read, and when they hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.json_reader import Reader
from app.domain.steps.conditions import Condition, Is, conditions_to_json, first_unmet, read_conditions


def read(*raw: object, subject: str = "path"):
    problems: list = []
    found = read_conditions(Reader({"expect": list(raw)}, "steps[0]", problems), "expect", subject)
    return found, [(one.field, one.message) for one in problems]


@pytest.mark.parametrize(
    ("op", "found", "than", "holds"),
    [
        ("empty", None, None, True),
        ("empty", "", None, True),
        ("empty", " \t", None, True),
        ("empty", {}, None, True),
        ("empty", [], None, True),
        ("empty", 0, None, False),
        ("empty", False, None, False),
        ("not_empty", "x", None, True),
        ("not_empty", [{}], None, True),
        ("equal", True, True, True),
        ("equal", 1, True, False),
        ("equal", "true", True, True),
        ("equal", 1, 1.0, True),
        ("equal", "12", 12, True),
        ("equal", None, "", False),
        ("equal", {"a": 1}, "a", False),
        ("not_equal", None, "pending", True),
        ("not_equal", "pending", "pending", False),
        ("in", "STAGED", ["STAGED", "DEPROVISIONED"], True),
        ("in", None, ["STAGED"], False),
        ("not_in", None, ["STAGED"], True),
        ("contains", ["admin", "user"], "admin", True),
        ("contains", "not_found: user", "not_found", True),
        ("contains", 12, "1", False),
        ("greater", 3, 2, True),
        ("greater", "10", 9, True),
        ("greater", "ten", 9, False),
        ("greater", True, 0, False),
        ("greater", 10**400, 1.5, True),
        ("less", 1, 2, True),
        ("less", None, 2, False),
        ("less", "2026-01-01T00:00:00Z", "2026-01-01T01:30:00+01:00", True),
    ],
)
def test_a_condition_holds_for_what_it_says(op, found, than, holds):
    assert Condition("$.x", Is(op), than).holds(found) is holds


@given(
    st.sampled_from([(Is.EMPTY, Is.NOT_EMPTY), (Is.EQUAL, Is.NOT_EQUAL), (Is.IN, Is.NOT_IN)]),
    st.one_of(st.none(), st.text(), st.integers(), st.booleans(), st.floats()),
    st.one_of(st.text(), st.integers(), st.booleans()),
)
def test_a_condition_and_its_opposite_never_agree(pair, found, than):
    value = [than] if pair[0].takes_list else than
    assert Condition("$.x", pair[0], value).holds(found) != Condition("$.x", pair[1], value).holds(found)


def test_what_is_read_is_written_back():
    raw = [
        {"path": "$.ok", "is": "equal", "than": True},
        {"path": "header:X-State", "is": "in", "than": ["a", 1]},
        {"path": "status", "is": "less", "than": 300},
        {"path": "$.errors", "is": "empty"},
    ]
    found, problems = read(*raw)
    assert problems == []
    assert conditions_to_json(found, "path") == raw
    assert [one.words for one in found] == [
        "$.ok is true", "header:X-State is one of a, 1", "the status is less than 300", "$.errors is empty",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "field", "words"),
    [
        ("nothing", "", "must be an object"),
        ({"path": "$.a"}, ".is", "how it is compared"),
        ({"path": "$.a", "is": "equals", "than": 1}, ".is", "Did you mean equal?"),
        ({"is": "empty"}, ".path", "where in the answer"),
        ({"path": "ok", "is": "empty"}, ".path", "Begin with $"),
        ({"path": "header:", "is": "empty"}, ".path", "header"),
        ({"path": "$.a", "is": "equal"}, ".than", "compared with"),
        ({"path": "$.a", "is": "empty", "than": 1}, ".than", "compared with nothing"),
        ({"path": "$.a", "is": "in", "than": "x"}, ".than", "list"),
        ({"path": "$.a", "is": "in", "than": []}, ".than", "list"),
        ({"path": "$.a", "is": "equal", "than": {"a": 1}}, ".than", "text"),
        ({"path": "$.a", "is": "greater", "than": "many"}, ".than", "a number"),
        ({"path": "$.a", "is": "empty", "when": 1}, ".when", "no field"),
    ],
)
def test_a_condition_that_cannot_be_is_refused_by_name(raw, field, words):
    _, [(place, message)] = read(raw)
    assert place == f"steps[0].expect[0]{field}"
    assert words in message


def test_a_step_has_at_most_twenty_conditions_in_a_list():
    _, [(place, _)] = read(*[{"path": "$.a", "is": "empty"}] * 21)
    assert place == "steps[0].expect"


def test_the_first_that_does_not_hold_is_named():
    ok, none = Condition("$.ok", Is.EQUAL, True), Condition("$.errors", Is.EMPTY)
    assert first_unmet([ok, none], [True, None]) is None
    assert first_unmet([ok, none], [True, ["no"]]) is none
    assert first_unmet([ok, none], [False, ["no"]]) is ok


def test_a_condition_before_a_step_is_called_by_its_token():
    found, problems = read({"value": "{{ account.id }}", "is": "empty"}, subject="value")
    assert problems == []
    assert found[0].words == "account.id is empty"


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ("{{ account.id }}", "account.id"),
        ("x-{{ account.id }}", "x-{{ account.id }}"),
        ("{{ a.b }}-{{ c.d }}", "{{ a.b }}-{{ c.d }}"),
        ("$.ok", "$.ok"),
    ],
)
def test_what_is_more_than_one_token_is_said_as_it_was_typed(of: str, said: str) -> None:
    assert Condition(of, Is.EMPTY).words == f"{said} is empty"
