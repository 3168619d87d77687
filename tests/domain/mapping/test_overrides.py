"""One-off values: which fields they may be given for, and where they land."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.mapping.render import render_query, render_value
from app.domain.mapping.templates import MappingError
from tests.support.domain.runs import post, webhook

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
BODY: Any = {
    "userName": "{{ grantee.email }}",
    "active": True,
    "emails": [{"value": "{{ grantee.email }}", "primary": True}],
    ENTERPRISE: {"employeeNumber": "{{ grantee.employee_id }}"},
}


CONTEXT = {"grantee": {"email": "ada@example.org", "employee_id": "7"}}


def body_with(values: dict[str, Any], template: Any = BODY) -> Any:
    return render_value(template, CONTEXT, overrides=values)


def query_with(values: dict[str, Any]) -> list[tuple[str, str]]:
    return render_query({"filter": "a", "limit": "5"}, CONTEXT, overrides=values)


def test_the_fields_are_those_of_the_body_and_of_the_query():
    step = post("create", body=BODY, query={"filter": "{{ grantee.email }}"})
    assert step.overridable() == [
        "userName",
        "active",
        "emails[0].value",
        "emails[0].primary",
        f"{ENTERPRISE}.employeeNumber",
        "query.filter",
    ]


def test_a_step_that_maps_nothing_offers_nothing():
    assert post("create").overridable() == []


def test_a_webhook_offers_the_fields_of_its_body():
    assert webhook("tell", body={"team": "Red"}).overridable() == ["team"]


@pytest.mark.parametrize("name", post("create", body=BODY).overridable())
def test_every_field_that_is_offered_can_be_replaced(name: str):
    assert str(body_with({name: "other"})).count("'other'") == 1


def test_only_the_named_field_changes_and_keeps_the_type_that_was_given():
    assert body_with({"active": False}) == body_with({}) | {"active": False}
    assert body_with({"a": None, "b": 3}, {"a": "x", "b": "y"}) == {"a": None, "b": 3}


def test_a_body_that_is_one_value_alone_is_called_body():
    assert post("create", body="{{ grantee.email }}").overridable() == ["body"]
    assert body_with({"body": "bob@example.org"}, "{{ grantee.email }}") == "bob@example.org"


def test_a_body_that_is_a_list_is_reached_by_places():
    assert body_with({"[0]": "x", "[1].b": "y"}, ["a", {"b": "c"}]) == ["x", {"b": "y"}]


def test_a_field_that_the_body_does_not_hold_is_never_added():
    assert body_with({"b": 2, "a.c": 3, "a[0]": 4}, {"a": 1}) == {"a": 1}


def test_what_is_typed_is_never_read_as_a_template():
    assert body_with({"a": "{{ grantee.email }}"}, {"a": "b"}) == {"a": "{{ grantee.email }}"}


def test_a_field_that_is_empty_can_be_given_a_value():
    template = {
        "left": ["{{ grantee.nickname | omit_empty }}", "{{ grantee.email }}"],
        "said": "call {{ grantee.nickname }}",
    }
    with pytest.raises(MappingError, match=r"body\.said"):
        body_with({}, template)
    assert body_with({"said": "ada"}, template) == {"left": ["ada@example.org"], "said": "ada"}
    assert body_with({"said": "", "left[0]": "x"}, template) == {"left": ["x", "ada@example.org"], "said": ""}
    assert render_query({"q": "{{ grantee.nickname }}"}, CONTEXT, overrides={"query.q": "x"}) == [("q", "x")]


@pytest.mark.parametrize(("value", "text"), [("x y", "x y"), (True, "true"), (None, ""), (7, "7")])
def test_a_parameter_of_the_query_is_replaced_as_text(value: Any, text: str):
    assert query_with({"query.filter": value}) == [("filter", text), ("limit", "5")]


def test_a_repeated_parameter_is_sent_once_when_it_is_replaced():
    template: Any = {"tag": ["a", "b"], "team": ["c", "c"]}
    pairs = render_query(template, CONTEXT, overrides={"query.tag": "x"})
    assert pairs == [("tag", "x"), ("team", "c"), ("team", "c")]


def test_names_of_the_query_do_not_reach_the_body_nor_the_other_way_round():
    assert body_with({"query.filter": "b"}, {"filter": "a"}) == {"filter": "a"}
    assert query_with({"filter": "b"}) == [("filter", "a"), ("limit", "5")]
