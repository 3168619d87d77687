"""One-off values: which fields they may be given for, and where they land."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.mapping.render import override_body, override_query
from tests.support.domain.runs import post, webhook

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
BODY: Any = {
    "userName": "{{ grantee.email }}",
    "active": True,
    "emails": [{"value": "{{ grantee.email }}", "primary": True}],
    ENTERPRISE: {"employeeNumber": "{{ grantee.employee_id }}"},
}


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
    replaced = override_body(BODY, {name: "other"})
    step = post("create", body=replaced)
    assert step.overridable() == post("create", body=BODY).overridable()
    assert str(replaced).count("'other'") == 1


def test_only_the_named_field_changes_and_keeps_the_type_that_was_given():
    assert override_body(BODY, {"active": False}) == BODY | {"active": False}
    assert override_body({"a": "x", "b": "y"}, {"a": None, "b": 3}) == {"a": None, "b": 3}


def test_a_body_that_is_one_value_alone_is_called_body():
    assert post("create", body="{{ grantee.email }}").overridable() == ["body"]
    assert override_body("ada@example.org", {"body": "bob@example.org"}) == "bob@example.org"


def test_a_body_that_is_a_list_is_reached_by_places():
    assert override_body(["a", {"b": "c"}], {"[0]": "x", "[1].b": "y"}) == ["x", {"b": "y"}]


def test_a_field_that_the_body_does_not_hold_is_never_added():
    assert override_body({"a": 1}, {"b": 2, "a.c": 3, "a[0]": 4}) == {"a": 1}


def test_without_values_the_body_stays_as_it_is():
    assert override_body(BODY, {}) is BODY


def test_the_original_is_left_alone():
    body: Any = {"a": {"b": "c"}}
    override_body(body, {"a.b": "d"})
    assert body == {"a": {"b": "c"}}


@pytest.mark.parametrize(("value", "text"), [("x y", "x y"), (True, "true"), (None, ""), (7, "7")])
def test_a_parameter_of_the_query_is_replaced_as_text(value: Any, text: str):
    pairs = [("filter", "a"), ("limit", "5")]
    assert override_query(pairs, {"query.filter": value}) == [("filter", text), ("limit", "5")]


def test_a_repeated_parameter_is_sent_once_when_it_is_replaced():
    pairs = [("tag", "a"), ("tag", "b"), ("team", "c"), ("team", "c")]
    assert override_query(pairs, {"query.tag": "x"}) == [("tag", "x"), ("team", "c"), ("team", "c")]


def test_names_of_the_query_do_not_reach_the_body_nor_the_other_way_round():
    assert override_body({"filter": "a"}, {"query.filter": "b"}) == {"filter": "a"}
    assert override_query([("filter", "a")], {"filter": "b"}) == [("filter", "a")]
