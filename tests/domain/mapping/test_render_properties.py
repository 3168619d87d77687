"""What holds for every template and every value: the dangerous rules of data mapping."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote

from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.json_reader import Json
from app.domain.mapping.filters import FILTERS
from app.domain.mapping.paths import render_path
from app.domain.mapping.render import (
    query_string,
    render_headers,
    render_query,
    render_text,
    render_value,
    to_body,
)
from app.domain.mapping.templates import MappingError
from app.domain.mapping.tokens import Scope, check_template
from tests.support.domain.step_strategies import any_json, bodies, scalars

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def refusal_of(act: Callable[[], object]) -> MappingError | None:
    try:
        act()
    except MappingError as error:
        return error
    return None


@given(st.text(alphabet="{}|.()\"'\\ abgrnte%default(", max_size=60))
def test_any_text_is_read_or_refused_and_nothing_else_happens(text):
    problems = check_template(text, Scope())
    error = refusal_of(lambda: render_text(text, {}))
    assert error is None or error.field == "text"
    assert error is None or problems or "date" in error.message


@given(texts.filter(lambda text: "{{" not in text))
def test_text_without_tokens_stays_as_it_is(text):
    assert render_text(text, {}) == text
    assert render_value(text, {}) == text


@given(scalars)
def test_one_token_alone_hands_on_exactly_its_value(value):
    rendered = render_value("{{ account.id }}", {"account": {"id": value}})
    assert (rendered, type(rendered)) == (value, type(value))


@given(texts, texts)
def test_values_are_read_once_only(first, second):
    context = {"account": {"a": first + "{{ account.b }}", "b": second}}
    assert (
        render_text("<{{ account.a }}|{{ account.b }}>", context) == f"<{first}{{{{ account.b }}}}|{second}>"
    )


@given(st.text(), st.text())
def test_a_rendered_path_never_has_more_parts_than_its_template(first, second):
    template = "/Users/{{ account.a }}/by-{{ account.b }}/x"
    try:
        path = render_path(template, {"account": {"a": first, "b": second}})
    except MappingError:
        return
    segments = path.split("/")
    assert (len(segments), segments[0], segments[1], segments[4]) == (5, "", "Users", "x")
    assert (unquote(segments[2]), unquote(segments[3])) == (first, f"by-{second}")
    assert path.isascii()
    assert not set(path) & set(" ?#\\\r\n\0")
    assert all(unquote(segment) not in (".", "..") for segment in segments)


@given(st.text())
def test_a_rendered_header_never_breaks_its_line(value):
    try:
        rendered = render_headers({"X-Id": "id={{ account.id }}"}, {"account": {"id": value}})["X-Id"]
    except MappingError:
        return
    assert rendered.encode("latin-1").isascii() or not rendered.isascii()
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in rendered)


@given(st.dictionaries(texts, texts, max_size=4))
def test_a_query_says_exactly_what_was_mapped(query):
    assume(not any("{{" in value for value in query.values()))
    pairs = render_query(query, {})
    assert parse_qsl(query_string(pairs), keep_blank_values=True) == list(query.items())


@given(bodies)
def test_a_body_without_tokens_is_sent_as_it_was_saved(body):
    assume("{{" not in json.dumps(body))
    sent, _ = to_body(render_value(body, {}), "json")
    assert json.loads(sent) == body


@given(
    st.lists(st.sampled_from([one.example for one in FILTERS.values()]), max_size=4),
    any_json | texts.map(lambda text: f"c4n4ry{text}") | st.lists(scalars, max_size=3),
)
def test_any_filters_on_any_value_make_one_or_a_refusal_that_hides_it(filters, value):
    template = f"{{{{ {' | '.join(['account.id', *filters])} }}}}"
    error = refusal_of(lambda: to_body(render_value(template, {"account": {"id": value}}), "json"))
    assert error is None or (error.field == "body" and "c4n4ry" not in error.message)


@given(any_json)
def test_a_context_of_any_shape_is_rendered_or_refused(value):
    template: Json = {"a": "{{ account.id }}", "b": "x{{ account.id | slug }}"}
    for context in ({"account": value}, {"account": {"id": value}}):
        error = refusal_of(lambda context=context: to_body(render_value(template, context), "json"))
        assert error is None or error.field in {"body.a", "body.b"}
