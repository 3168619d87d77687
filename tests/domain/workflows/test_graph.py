"""Where a run can go: the graph against a walk that tries every way."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.domain.workflows.definition import Definition, parse_definition
from app.domain.workflows.graph import circles, earlier_steps, exits, reached_from

KEYS = [f"s{n}" for n in range(6)]
edge_words = st.fixed_dictionaries(
    {
        "on_success": st.sampled_from(["next", "next", "end", *({"step": key} for key in KEYS)]),
        "on_failure": st.sampled_from(
            ["stop", "continue", *({"step": key} for key in KEYS), *({"compensate": key} for key in KEYS[4:])]
        ),
    }
)


def definition_of(edges: list[dict]) -> Definition:
    steps = [
        {"key": key, "type": "http", "connection_id": "1", "method": "GET", "path": "/", **edge}
        for key, edge in zip(KEYS, edges, strict=False)
    ]
    definition, problems = parse_definition(steps)
    assert problems == []
    assert definition is not None
    return definition


def pairs_walked(definition: Definition) -> set[tuple[str, str]]:
    """Each (earlier, later) pair met by adding one way out at a time until nothing is new."""
    pairs = {(step.key, way.target) for step in definition.steps for way in exits(definition, step)}
    while True:
        longer = pairs | {(a, d) for a, b in pairs for c, d in pairs if b == c}
        if longer == pairs:
            return pairs
        pairs = longer


@given(st.lists(edge_words, min_size=1, max_size=6))
def test_earlier_steps_and_circles_agree_with_a_walk_over_every_way(edges):
    definition = definition_of(edges)
    pairs = pairs_walked(definition)
    earlier = earlier_steps(definition)
    assert {(a, b) for b, keys in earlier.items() for a in keys} == pairs
    assert bool(circles(definition)) == any(a == b for a, b in pairs)
    for step in definition.steps:
        assert reached_from(definition, step.key) == {step.key} | {b for a, b in pairs if a == step.key}


@given(st.lists(edge_words, min_size=1, max_size=6))
def test_a_circle_is_made_of_ways_that_exist_and_ends_where_it_began(edges):
    definition = definition_of(edges)
    for key, field, circle in circles(definition):
        assert circle[0] == circle[-1]
        assert circle[-2] == key
        for here, there in pairwise(circle):
            assert there in {way.target for way in exits(definition, definition.step(here))}
        closing = [way.field for way in exits(definition, definition.step(key)) if way.target == circle[-1]]
        assert field in closing
