"""Every way of signing in, from its description: in the schema, on the form and the pages, with its secret unseen."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

import app
from app.connectors.auth.method import AuthMethod, ConfigField
from app.connectors.auth.methods import FIELDS, METHODS
from app.connectors.types.table import RECEIVERS, TYPES, needs_credential
from app.domain.runs.calls import ConnectionData
from app.models import Connection
from app.schemas.base import parse
from app.schemas.connections import CONFIGS, ConnectionIn, HttpConfig
from app.web.connections.forms import AUTH_CHOICES, AUTH_FIELDS
from tests.support.web.places import Place
from tests.support.web.readers import Reader

CANARY = "canary-7f3a-secret"
BASE = "https://api.example/v1"
CSS = (Path(app.__file__).parent / "static" / "app.css").read_text(encoding="utf-8")

every_method = pytest.mark.parametrize("method", METHODS.values(), ids=lambda one: one.name)


def example(field: ConfigField) -> Any:
    if field.kind == "pairs":
        return {"organization": "a b", f"x-{field.name}": "1=2"}
    if field.kind == "select":
        return field.choices[-1][0]
    return f"https://id.example/{field.name}" if field.kind == "url" else f"an-{field.name}"


def filled_in(method: AuthMethod) -> dict[str, Any]:
    return {one.name: example(one) for one in method.fields}


def typed_in(method: AuthMethod) -> dict[str, str]:
    """The same as it stands in the form."""
    return {
        name: "\n".join(f"{one}={value[one]}" for one in value) if isinstance(value, dict) else value
        for name, value in filled_in(method).items()
    }


@every_method
def test_it_has_all_its_parts(method: AuthMethod) -> None:
    assert METHODS[method.name] is method
    assert method.label
    assert method.short
    assert method.noun
    for field in method.fields:
        assert FIELDS[field.name] is field  # methods that need the same field share it
        assert field.label
        assert field.read_pairs(None) == {} if field.kind == "pairs" else field.read("") == ""
        assert (field.kind == "select") == bool(field.choices)
        assert not field.default or field.read(field.default) == field.default
        assert field.name not in HttpConfig.__annotations__


@every_method
def test_a_configuration_keeps_its_own_fields_and_drops_those_of_others(method: AuthMethod) -> None:
    everything = {one.name: example(one) for one in FIELDS.values()}
    data = {"type": "http", "name": "API", "config": {"base_url": BASE, "auth": method.name} | everything}
    assert parse(ConnectionIn, data).config == {
        "base_url": BASE,
        "auth": method.name,
        "timeout_seconds": 30,
        **filled_in(method),
    }


@every_method
def test_the_form_asks_for_it_in_its_words(alice: Reader, place: Place, method: AuthMethod) -> None:
    page = alice.client.get(f"/applications/{place.application}/connections/new")
    choices = [(one["value"], one.get_text()) for one in page.select("#auth option")]
    assert choices == AUTH_CHOICES
    at = 1 + choices.index((method.name, method.label))
    shown = [one for one, places in AUTH_FIELDS if str(at) in places.split()]
    assert sorted(one.name for one in shown) == sorted(one.name for one in method.fields)
    for field in method.fields:
        wrapped = page.one(f'.choosing > [data-for~="{at}"]:has(#{field.name})')
        assert field.label in wrapped.get_text()
        assert field.hint in wrapped.get_text()


def test_the_style_sheet_knows_as_many_choices_as_there_are() -> None:
    """Without a script as well, only the fields of the chosen way are seen."""
    rules = re.findall(
        r'\.choosing:has\(> \.field option:nth-child\((\d+)\):checked\) > \[data-for\]:not\(\[data-for~="(\d+)"\]\)',
        CSS,
    )
    assert rules == [(str(one), str(one)) for one in range(1, len(rules) + 1)]
    assert len(rules) >= len(METHODS)


@every_method
def test_what_was_filled_in_is_kept_and_shown_but_never_the_credential(
    alice: Reader, place: Place, web: Session, method: AuthMethod
) -> None:
    page = alice.client.get(f"/applications/{place.application}/connections/new")
    form = page.form("connection-form").fill(name="New", base_url=BASE, auth=method.name, **typed_in(method))
    page = form.submit("Add connection").follow_redirect()
    made = web.query(Connection).filter(Connection.name == "New").one()
    assert {one.name: made.config[one.name] for one in method.fields} == filled_in(method)
    facts = dict(zip(page.texts("main dt"), page.texts("main dd"), strict=False))
    assert facts["Signs in with"] == method.short
    for label, value in method.facts(made.config):
        assert facts[label] == value
    if method.needs_credential:
        assert f"until the {method.noun} is entered" in page.text
        page.form("credential-form").fill(value=CANARY).submit()
    else:
        assert "so none is needed" in page.text
    edit = alice.client.get(f"/connections/{made.id}/edit")
    assert {name: edit.form("connection-form")[name] for name in typed_in(method)} == typed_in(method)
    pages = (edit, alice.client.get(f"/connections/{made.id}"))
    assert all(CANARY not in str(one.soup) for one in pages)


@every_method
def test_a_dry_run_shows_where_the_credential_goes(method: AuthMethod) -> None:
    shown = method.shown(filled_in(method), "‹credential›")
    assert bool(shown) == method.needs_credential
    assert all("‹credential›" in value for value in shown.values())


@every_method
def test_whether_it_needs_a_credential_is_asked_in_one_place(method: AuthMethod) -> None:
    connection = ConnectionData(1, 1, "http", "API", {"base_url": BASE, "auth": method.name})
    assert needs_credential(connection) == method.needs_credential


@every_method
def test_only_who_may_enter_a_credential_changes_who_receives_it(
    bob: Reader, alice: Reader, place: Place, web: Session, method: AuthMethod
) -> None:
    if not method.needs_credential:
        return
    found = web.get_one(Connection, place.http)
    found.config = {"base_url": BASE, "auth": method.name} | filled_in(method)
    web.commit()
    alice.client.get(f"/connections/{place.http}").form("credential-form").fill(value=CANARY).submit()
    page = bob.client.get(f"/connections/{place.http}/edit")
    for field in method.fields:
        assert page.one(f"#{field.name}").has_attr("readonly") == (field.name in RECEIVERS)
        if field.name in RECEIVERS:
            other = f"{example(field)}-other"
            page.form("connection-form").fill({field.name: other}).submit("Save changes", expect=403)


def test_the_types_are_the_same_in_code_schema_and_database() -> None:
    written = ConnectionIn.model_json_schema()["properties"]["type"]["enum"]
    checks = (str(getattr(one, "sqltext", "")) for one in Connection.__table__.constraints)
    [allowed] = [one for one in checks if "type IN" in one]
    assert [*TYPES] == [*CONFIGS] == written == re.findall(r"'(\w+)'", allowed)
    for name, kind in TYPES.items():
        assert kind.name == name
        assert kind.address in CONFIGS[name].model_fields
        assert (kind.probe({kind.address: BASE}) is None) == bool(kind.nothing_to_probe)
