"""Templates and what they come to: each rule by an example, the dangerous ones by properties."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest

from app.domain.mapping.filters import Placeholder
from app.domain.mapping.paths import path_problems, render_path
from app.domain.mapping.render import (
    field_names,
    query_string,
    render_headers,
    render_query,
    render_text,
    render_value,
    to_body,
)
from app.domain.mapping.templates import MappingError, compile_template, strings_in
from app.domain.mapping.tokens import Scope, check_template

CONTEXT = {
    "event": {"occurred_at": datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)},
    "grantee": {
        "email": "Ada@Example.org",
        "first_name": "Zoë",
        "last_name": "O’Hara-Łuk",
        "username": " ada ",
        "employee_id": None,
    },
    "grant": {"expires_at": "2026-12-31T23:59:00+02:00", "access_level": ""},
    "steps": {
        "create": {"id": 42, "active": True, "share": 0.5, "list": [1], "dots": "..", "slash": "a/b?c"}
    },
    "account": {"id": "x"},
}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{{ grantee.email }}", "Ada@Example.org"),
        ("{{grantee.email}}", "Ada@Example.org"),
        ("{{\n grantee.email\t|lower }}", "ada@example.org"),
        ("{{ grantee.email | upper }}", "ADA@EXAMPLE.ORG"),
        ("<{{ grantee.username | trim }}>", "<ada>"),
        ("{{ grantee.first_name | slug }}.{{ grantee.last_name | slug }}", "zoe.ohara-luk"),
        ("{{ steps.create.id }}", 42),
        ("{{ steps.create.active }}", True),
        ("{{ steps.create.share }}", 0.5),
        ("{{ steps.create.id }} {{ steps.create.active }} {{ steps.create.share }}", "42 true 0.5"),
        ("{{ steps.create.id | lower }}", "42"),
        ("{{ grantee.employee_id }}", None),
        ("{{ grantee.employee_id | lower }}", None),
        ('[{{ grantee.employee_id | default("") }}]', "[]"),
        ("[{{ grantee.employee_id | omit_empty }}]", "[]"),
        ("{{ steps.create.list }}", [1]),
        ('{{ steps.create.list | join("+") }}', "1"),
        ('{{ grantee.employee_id | default("none") }}', "none"),
        ('{{ grantee.employee_id | upper | default("none") | upper }}', "NONE"),
        ('{{ grant.access_level | default("basic") }}', "basic"),
        ('{{ grantee.email | default("none") }}', "Ada@Example.org"),
        ("{{ grantee.employee_id | default('it\\'s \"}}\" \\\\') }}", 'it\'s "}}" \\'),
        ('{{ event.occurred_at | date("%Y-%m-%d") }}', "2026-03-04"),
        ("{{ event.occurred_at }}", "2026-03-04T05:06:07Z"),
        ('{{ grant.expires_at | date("%d/%m/%y %H:%M %z %%") }}', "31/12/26 23:59 +0200 %"),
        ('{{ grantee.employee_id | date("%Y") }}', None),
        ("{{ grantee.email.length }}", None),
        ("{{ nothing.at.all }}", None),
        ("{ grantee.email }", "{ grantee.email }"),
    ],
)
def test_a_text_comes_to_its_value(template, value):
    rendered = render_value(template, CONTEXT)
    assert (rendered, type(rendered)) == (value, type(value))


def test_a_mapping_keeps_its_shape_and_the_types_of_its_values():
    template = {"a": ["{{ steps.create.id }}", 1, None], "b": {"c": "id {{ steps.create.id }}", "d": True}}
    assert render_value(template, CONTEXT) == {"a": [42, 1, None], "b": {"c": "id 42", "d": True}}


def test_a_value_that_looks_like_a_template_is_never_read_as_one():
    context = {"grantee": {"email": "{{ grantee.secret }}", "secret": "leaked"}}
    for template in (
        "{{ grantee.email }}",
        "x{{ grantee.email | trim }}",
        '{{ a.b | default("{{ grantee.secret }}") }}',
    ):
        assert "leaked" not in str(render_value(template, context))


def test_only_plain_dicts_are_looked_into():
    context = {"grantee": "Ada", "steps": type("Steps", (), {"id": 7})()}
    assert render_value("{{ grantee.__class__ }}", context) is None
    assert render_value("{{ steps.id }}", context) is None


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ grantee.email", "is not closed"),
        ("{{ }}", "needs the name of a value"),
        ("{{ grantee. }}", "needs a name after the dot"),
        ("{{ grantee email }}", "cannot hold “e” here"),
        ("{{ grantee.email | }}", "needs a filter"),
        ("{{ grantee.email | lowr }}", "Did you mean lower?"),
        ("{{ grantee.email | lower() }}", "takes none"),
        ("{{ grantee.email | default }}", "needs a text after default"),
        ("{{ grantee.email | default(x) }}", "straight quotes"),
        ("{{ grantee.email | default(“x”) }}", "straight quotes"),
        ('{{ grantee.email | default("x }}', "never closes the quotes"),
        ('{{ grantee.email | default("x" }}', "closing bracket"),
        ('{{ event.occurred_at | date("%Q") }}', "cannot use “%Q”"),
        ('{{ event.occurred_at | date("%") }}', "cannot use “%”"),
        ('{{ event.occurred_at | date("") }}', "1 to 100 characters"),
        ("{{{ grantee.email }}}", "needs the name of a value"),
        ("nul \0", "NUL"),
        ("half \ud800", "surrogate"),
    ],
)
def test_a_malformed_template_is_refused_where_it_is_and_in_words(template, words):
    with pytest.raises(MappingError) as caught:
        render_value({"name": ["fine", {"givenName": template}]}, CONTEXT)
    assert caught.value.field == "body.name[1].givenName"
    assert words in caught.value.message
    assert any(words in problem for problem in check_template(template, Scope()))


@pytest.mark.parametrize("value", ["a\0b", "\ud800", [1], {"a": 1}, float("nan"), float("inf")])
def test_a_value_that_cannot_be_sent_is_refused_without_being_shown(value):
    with pytest.raises(MappingError) as caught:
        render_value({"id": "x {{ steps.create.id }}"}, {"steps": {"create": {"id": value}}})
    assert (caught.value.field, "steps.create.id" in caught.value.message) == ("body.id", True)
    caught.value.message.encode()


def test_a_value_that_is_no_date_is_refused_without_being_shown():
    with pytest.raises(MappingError) as caught:
        render_text('{{ grantee.email | date("%Y") }}', CONTEXT, field="prompt")
    assert caught.value.field == "prompt"
    assert "Ada" not in str(caught.value)


def test_every_token_that_came_to_nothing_is_collected():
    empty: list[str] = []
    template = {
        "a": "{{ grantee.employee_id }}",
        "b": 'x{{ grant.access_level | default("") }}',
        "c": "{{ account.id }}",
    }
    render_value(template, CONTEXT, empty=empty)
    assert empty == ["grantee.employee_id", "grant.access_level"]
    render_text('{{ grantee.employee_id | default("y") }}', CONTEXT, empty=empty)
    assert len(empty) == 2


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/Users", "/Users"),
        ("/", "/"),
        ("/Users/{{ steps.create.id }}/", "/Users/42/"),
        ("/Users/{{ steps.create.slash }}", "/Users/a%2Fb%3Fc"),
        ("/groups/{{ grantee.first_name }}-{{ account.id }}", "/groups/Zo%C3%AB-x"),
        ("/a b/%2F/{{ account.id }};v=1", "/a%20b/%2F/x;v=1"),
        ("/of/{{ grantee.email }}", "/of/Ada%40Example.org"),
        ('/{{ event.occurred_at | date("%Y/%m") }}', "/2026%2F03"),
    ],
)
def test_a_path_keeps_what_was_written_and_encodes_what_was_put_in(template, path):
    assert path_problems(template) == []
    assert render_path(template, CONTEXT) == path


@pytest.mark.parametrize("value", [None, "", "  ", ".", "..", "a\nb", "a\x7f", "\x85", "a\0", "\ud800"])
def test_a_value_that_would_lead_elsewhere_is_refused_before_anything_is_sent(value):
    with pytest.raises(MappingError) as caught:
        render_path("/Users/{{ account.id }}/x", {"account": {"id": value}})
    assert caught.value.field == "path"
    assert "account.id" in caught.value.message


@pytest.mark.parametrize(
    "template", ["/a/.{{ account.id }}", "/a/%2e{{ account.id }}", "/a/{{ account.id }}%2E"]
)
def test_two_dots_are_not_made_of_halves_either(template):
    assert render_path(template, {"account": {"id": "x"}})
    with pytest.raises(MappingError):
        render_path(template, {"account": {"id": "."}})


@pytest.mark.parametrize(
    "template",
    [
        "",
        "Users",
        "//evil.example/x",
        "https://evil.example/x",
        "{{ account.id }}/x",
        "/Users?filter=x",
        "/Users#x",
        "/a/../b",
        "/a/%2E%2e/b",
        "/./b",
        "/a\\b",
        "/Users/{id}",
        "/100%",
        "/a\nb",
        "/" + "x" * 2048,
    ],
)
def test_a_path_that_no_author_can_mean_is_refused(template):
    assert path_problems(template)
    with pytest.raises(MappingError):
        render_path(template, CONTEXT)


def test_an_unknown_value_of_a_dry_run_stays_readable():
    context = {"steps": {"create": {"id": Placeholder("‹steps.create.id›")}}}
    assert render_path("/Users/{{ steps.create.id | upper }}", context) == "/Users/‹steps.create.id›"
    assert render_value('{{ steps.create.id | date("%Y") }}', context) == "‹steps.create.id›"


def test_a_query_keeps_order_and_repeats_lists():
    template = {
        "filter": 'userName eq "{{ grantee.email }}"',
        "n": 5,
        "on": True,
        "x": ["a", "{{ grantee.employee_id | default('') }}"],
        "y": "{{ grantee.employee_id | omit_empty }}",
        "z": ["{{ grantee.employee_id | omit_empty }}", "b"],
    }
    pairs = render_query(template, CONTEXT)
    assert pairs == [
        ("filter", 'userName eq "Ada@Example.org"'),
        ("n", "5"),
        ("on", "true"),
        ("x", "a"),
        ("x", ""),
        ("z", "b"),
    ]
    assert parse_qsl(query_string(pairs), keep_blank_values=True) == pairs
    assert query_string([("a", "b c&d")]) == "a=b%20c%26d"


def test_a_header_is_one_line_of_latin_letters():
    assert render_headers({"X-Name": " {{ grantee.first_name }} "}, CONTEXT) == {"X-Name": "Zoë"}
    for value in ("a\r\nX-Evil: 1", "a\0", "tab\t", "李"):
        with pytest.raises(MappingError) as caught:
            render_headers({"X-Name": "{{ account.id }}"}, {"account": {"id": value}})
        assert caught.value.field == "headers.X-Name"
        assert value not in caught.value.message


def test_a_body_is_json_or_a_form():
    assert to_body({"a": "é", "b": [1, None]}, "json") == (
        '{"a":"é","b":[1,null]}'.encode(),
        "application/json",
    )
    body, kind = to_body({"a": "b c", "on": True, "none": None, "x": [1, 2]}, "form")
    assert (body, kind) == (b"a=b+c&on=true&none=&x=1&x=2", "application/x-www-form-urlencoded")


@pytest.mark.parametrize(
    ("value", "field"), [("text", "body"), ({"a": {"b": 1}}, "body.a"), ({"a": [[1]]}, "body.a")]
)
def test_a_form_holds_names_and_single_values_only(value, field):
    with pytest.raises(MappingError) as caught:
        to_body(value, "form")
    assert caught.value.field == field


def test_a_number_that_json_does_not_know_is_refused():
    with pytest.raises(MappingError):
        to_body({"a": float("nan")}, "json")


def test_the_names_of_mapped_fields_are_dotted():
    body = {"userName": "x", "name": {"givenName": "y"}, "emails": [{"value": "z"}], "roles": []}
    assert field_names(body) == ["userName", "name.givenName", "emails[0].value", "roles"]
    assert [field_names(one) for one in (None, {}, [], "x", ["x"])] == [[], [], [], ["body"], ["[0]"]]


def test_tokens_are_found_wherever_a_mapping_holds_text():
    body = {"a": "{{ grantee.email | lower }} {{ grant.id }}", "b": [{"c": "{{ steps.create.id }}"}]}
    found = [token for _at, text in strings_in(body) for token in compile_template(text).tokens]
    assert [token.name for token in found] == ["grantee.email", "grant.id", "steps.create.id"]
    assert found[0].filters[0].name == "lower"
