"""What is empty is refused where something else would be meant without it, or left out where its author says so."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.mapping.filters import Placeholder
from app.domain.mapping.render import render_headers, render_query, render_text, render_value
from app.domain.mapping.templates import MappingError

WAY_OUT = 'add | default("") if it may be, or | omit_empty to leave it out.'
EMPTY = [None, "", " \t", []]


def context_of(value: Any) -> dict[str, Any]:
    return {"grantee": {"id": value}}


@pytest.mark.parametrize("value", [None, "", " \t"])
@pytest.mark.parametrize(
    "template", ["{{ grantee.id }}", 'id eq "{{ grantee.id | lower }}"', ["a", "{{ grantee.id }}"]]
)
def test_a_query_with_an_empty_value_is_refused(template, value):
    with pytest.raises(MappingError) as caught:
        render_query({"filter": template}, context_of(value))
    assert caught.value.field == "query.filter"
    assert caught.value.message.startswith("grantee.id is empty, ")
    assert caught.value.message.endswith(WAY_OUT)


@pytest.mark.parametrize("value", [None, "", " \t"])
def test_longer_text_of_a_body_with_an_empty_value_is_refused_and_a_value_alone_may_be_empty(value):
    with pytest.raises(MappingError) as caught:
        render_value({"a": [{"b": "id:{{ grantee.id }}"}]}, context_of(value))
    assert (caught.value.field, WAY_OUT in caught.value.message) == ("body.a[0].b", True)
    assert render_value({"a": ["{{ grantee.id }}"]}, context_of(value)) == {"a": [value]}


def test_people_and_headers_may_read_nothing():
    assert render_text("Ask {{ grantee.id }}.", context_of(None)) == "Ask ."
    assert render_headers({"X-Id": "a{{ grantee.id }}"}, context_of(None)) == {"X-Id": "a"}


@pytest.mark.parametrize("way", ['default("")', "omit_empty", 'lower | default("") | trim'])
def test_what_is_said_to_be_optional_may_be_empty(way):
    text = f"id:{{{{ grantee.id | {way} }}}}"
    assert render_value(text, context_of(None)) == "id:"
    assert render_query({"q": text}, context_of("")) == [("q", "id:")]


@pytest.mark.parametrize("value", EMPTY)
def test_what_may_be_left_out_is_left_out_with_its_name(value):
    token = "{{ grantee.id | omit_empty }}"
    template = {"name": {"familyName": token}, "tags": ["x", token], "also": token, "keep": ""}
    assert render_value(template, context_of(value)) == {"name": {}, "tags": ["x"], "keep": ""}
    assert render_headers({"X-Id": token, "X-B": "b"}, context_of(None)) == {"X-B": "b"}
    assert render_query({"id": token, "b": ["b", token]}, context_of(None)) == [("b", "b")]


def test_what_may_be_left_out_stays_when_there_is_something():
    token = "{{ grantee.id | trim | omit_empty }}"
    assert render_value({"a": token, "b": [token]}, context_of(" 0 ")) == {"a": "0", "b": ["0"]}
    assert render_value({"a": token}, context_of(0)) == {"a": "0"}
    assert render_value({"a": "{{ grantee.id | omit_empty }}"}, context_of(False)) == {"a": False}
    assert render_query({"a": token}, context_of("7")) == [("a", "7")]


@pytest.mark.parametrize(
    "token", ["{{ grantee.id }}", "{{ grantee.id | default('') }}", "{{ grantee.id | omit_empty }}"]
)
def test_a_call_that_removes_is_sent_with_nothing_empty_whatever_its_author_excused(token):
    for template in ({"id": token}, {"id": f"x{token}"}):
        with pytest.raises(MappingError, match=r"grantee\.id is empty"):
            render_value(template, context_of(None), refuse_empty=True)
        with pytest.raises(MappingError, match=r"grantee\.id is empty"):
            render_query(template, context_of(""), refuse_empty=True)
        with pytest.raises(MappingError, match=r"grantee\.id is empty"):
            render_headers(template, context_of(""), refuse_empty=True)
        assert render_value(template, context_of("7"), refuse_empty=True)


@pytest.mark.parametrize("value", [None, "", " "])
def test_a_call_that_removes_is_not_sent_with_a_one_off_value_that_is_empty(value):
    template = {"id": "{{ grantee.id }}"}
    with pytest.raises(MappingError, match=r"^body\.id: "):
        render_value(template, context_of("7"), overrides={"id": value}, refuse_empty=True)
    with pytest.raises(MappingError, match=r"^query\.id: "):
        render_query(template, context_of("7"), overrides={"query.id": value}, refuse_empty=True)
    assert render_query(template, context_of(None), overrides={"query.id": "8"}, refuse_empty=True) == [
        ("id", "8")
    ]


def test_a_value_that_is_not_known_yet_is_never_empty():
    context = context_of(Placeholder("‹steps.create.id›"))
    template = {"a": "{{ grantee.id | omit_empty }}", "b": "x{{ grantee.id | before('@') | json }}"}
    shown = {"a": "‹steps.create.id›", "b": "x‹steps.create.id›"}
    assert render_value(template, context, refuse_empty=True) == shown
    assert render_query({"q": "{{ grantee.id | number }}"}, context) == [("q", "‹steps.create.id›")]


@pytest.mark.parametrize(
    "render",
    [
        lambda context: render_value({"a": "x{{ grantee.id }}"}, context),
        lambda context: render_value({"a": "{{ grantee.id | lower }}"}, context),
        lambda context: render_query({"a": "{{ grantee.id }}"}, context),
        lambda context: render_headers({"a": "{{ grantee.id }}"}, context),
        lambda context: render_text("{{ grantee.id }}", context),
    ],
)
def test_a_list_stands_alone_in_a_body_and_nowhere_else(render):
    assert render_value({"a": "{{ grantee.id }}"}, context_of(["x", 1])) == {"a": ["x", 1]}
    with pytest.raises(MappingError, match=r'grantee\.id is a list: join it, as in join\(","\)'):
        render(context_of(["x", 1]))


def test_a_list_of_no_single_values_or_of_too_many_is_refused():
    for value in ([["x"]], [{"a": 1}], ["x"] * 201):
        with pytest.raises(MappingError, match=r"grantee\.id is "):
            render_value("{{ grantee.id | join(',') }}", context_of(value))
    assert len(render_value("{{ grantee.id }}", context_of(["x"] * 200))) == 200
