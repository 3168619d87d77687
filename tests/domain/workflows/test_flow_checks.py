"""The way through a workflow: targets, circles, steps never reached, compensation."""

from __future__ import annotations

import pytest

from tests.support.domain.findings import errors, http, warnings, webhook


def test_each_key_is_used_once():
    assert errors(http("a"), http("b"), http("a")) == [
        ("steps[2].key", "Another step has the key a already.")
    ]


def test_an_edge_names_a_step_that_exists():
    assert errors(http("look", on_success={"step": "tel"}), webhook("tell", on_success="end")) == [
        ("steps[0].on_success", "There is no step tel. Did you mean tell?"),
        ("steps[1].key", "“tell” can never be reached: “look” above it goes on elsewhere."),
    ]


@pytest.mark.parametrize(
    ("field", "edge", "words"),
    [
        ("on_success", {"step": "a"}, "cannot go on to itself"),
        ("on_failure", {"step": "a"}, "cannot go on to itself"),
        ("on_failure", {"compensate": "a"}, "cannot undo itself"),
    ],
)
def test_no_edge_leads_back_to_its_own_step(field, edge, words):
    found = dict(errors(http("a", **{field: edge})))
    assert words in found[f"steps[0].{field}"]


def test_a_run_never_goes_in_a_circle():
    steps = (
        http("a", name="A"),
        http("b", name="B", on_failure="continue"),
        http("c", on_success={"step": "a"}),
    )
    assert errors(*steps) == [("steps[2].on_success", "The run would go in a circle: “A” → “B” → “c” → “A”.")]


def test_a_circle_over_a_failure_edge_counts_too():
    found = errors(http("a", on_success="end", on_failure={"step": "b"}), http("b", on_failure={"step": "a"}))
    assert found == [("steps[1].on_failure", "The run would go in a circle: “a” → “b” → “a”.")]


def test_jumping_over_steps_and_meeting_again_is_no_circle():
    assert errors(http("a", on_failure={"step": "c"}), http("b"), http("c")) == []


@pytest.mark.parametrize(
    ("edge", "reason"),
    [
        ({"on_success": "end"}, ": “a” above it ends the run"),
        ({"on_success": {"step": "c"}}, ": “a” above it goes on elsewhere"),
    ],
)
def test_a_step_that_no_run_reaches_is_named_with_the_reason(edge, reason):
    found = errors(http("a", **edge), http("b"), http("c", on_failure="stop"))
    assert ("steps[1].key", f"“b” can never be reached{reason}.") in found


def test_a_step_reached_by_a_failure_alone_is_reached():
    assert errors(http("a", on_success="end", on_failure={"step": "b"}), http("b")) == []


def test_continuing_anyway_goes_on_below_even_where_a_success_ends_the_run():
    assert errors(http("a", on_success="end", on_failure="continue"), http("b")) == []


def test_a_step_named_by_a_compensation_step_alone_is_not_reached():
    steps = (http("a", on_success="end", on_failure={"compensate": "undo"}), http("b"))
    found = dict(errors(*steps, http("undo", on_success={"step": "b"})))
    assert found["steps[1].key"] == "“b” can never be reached: “a” above it ends the run."


def test_a_compensation_step_is_reached_in_no_other_way():
    found = errors(
        http("a", on_failure={"compensate": "undo"}),
        http("b", on_success={"step": "undo"}),
        http("undo", name="Undo"),
    )
    assert found == [
        ("steps[1].on_success", "“Undo” is used for compensation and is reached in no other way.")
    ]


def test_steps_pass_a_compensation_step_between_them():
    assert errors(http("a", on_failure={"compensate": "undo"}), http("undo"), http("b")) == []


def test_nothing_follows_a_compensation_step():
    first = http("a", on_failure={"compensate": "undo"})
    last = http("z")
    assert [field for field, _ in errors(first, http("undo", on_success={"step": "z"}), last)] == [
        "steps[1].on_success"
    ]
    assert [field for field, _ in errors(first, http("undo", on_failure={"step": "z"}), last)] == [
        "steps[1].on_failure"
    ]
    assert [field for field, _ in warnings(first, http("undo", on_failure="escalate"), last)] == [
        "steps[1].on_failure"
    ]


def test_a_compensation_of_a_compensation_is_refused():
    found = errors(
        http("a", on_failure={"compensate": "b"}), http("b", on_failure={"compensate": "c"}), http("c")
    )
    assert "steps[1].on_failure" in dict(found)
