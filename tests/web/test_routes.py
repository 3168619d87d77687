"""Every route of the app, pages and API: who may use it, what its address looks like, and who is let in."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from app.guard import PUBLIC, declared
from tests.web.conftest import Reader

PARAMETER = re.compile(r"<([^>]+)>")
WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(\.(json|csv|yaml))?")
OUTSIDE = ("/api/", "/static/", "/healthz", "/readyz", "/metrics")
# Reached before anybody has signed in, on purpose.
OPEN = {
    "auth.sign_in",
    "auth.start",
    "auth.sign_out",
    "auth.ask_code",
    "auth.take_code",
    "auth.sso",
    "auth.sso_callback",
    "auth.welcome",
    "auth.choose_password",
    "preferences.update",
}


def test_every_route_declares_who_may_use_it(only_sqlite: Flask) -> None:
    with only_sqlite.app_context():
        silent = [rule.rule for rule in only_sqlite.url_map.iter_rules() if declared(rule.endpoint) is None]
    assert silent == []


def test_only_the_ways_in_are_open_to_everybody(only_sqlite: Flask) -> None:
    with only_sqlite.app_context():
        found = {
            rule.endpoint
            for rule in only_sqlite.url_map.iter_rules()
            if declared(rule.endpoint) == PUBLIC and not rule.rule.startswith(OUTSIDE)
        }
    assert found <= OPEN | {"help.index"}


def test_every_part_of_an_address_is_typed(only_sqlite: Flask) -> None:
    untyped = [
        rule.rule
        for rule in only_sqlite.url_map.iter_rules()
        if any(":" not in parameter for parameter in PARAMETER.findall(rule.rule))
    ]
    assert untyped == []


def test_ids_in_addresses_are_integers(only_sqlite: Flask) -> None:
    loose = [
        rule.rule
        for rule in only_sqlite.url_map.iter_rules()
        for parameter in PARAMETER.findall(rule.rule)
        if parameter.endswith("_id") and not parameter.startswith("int:")
    ]
    assert loose == []


def test_addresses_are_kebab_case(only_sqlite: Flask) -> None:
    odd = [
        rule.rule
        for rule in only_sqlite.url_map.iter_rules()
        for part in rule.rule.strip("/").split("/")
        if part and not part.startswith("<") and not WORD.fullmatch(part)
    ]
    assert odd == []


def test_pages_answer_get_and_post_only(only_sqlite: Flask) -> None:
    others = {
        (rule.rule, method)
        for rule in only_sqlite.url_map.iter_rules()
        for method in rule.methods or ()
        if not rule.rule.startswith("/api/") and method not in ("GET", "POST", "HEAD", "OPTIONS")
    }
    assert others == set()


@pytest.mark.parametrize("number", [2**63, 10**18 * 10, "9" * 5000, "-1", "1.0", "abc", "٣"])
def test_what_no_record_can_be_called_is_not_found(alice: Reader, number: object) -> None:
    alice.client.get(f"/grants/{number}", expect=404)


def test_charlie_is_refused_everywhere_that_needs_a_permission(only_sqlite: Flask, charlie: Reader) -> None:
    with only_sqlite.app_context():
        guarded = [
            (rule.rule, rule.methods or set())
            for rule in only_sqlite.url_map.iter_rules()
            if ":" in (declared(rule.endpoint) or "") and not rule.rule.startswith(OUTSIDE)
        ]
    assert len(guarded) > 20
    for rule, methods in guarded:
        address = PARAMETER.sub("1", rule)
        if "GET" in methods:
            charlie.client.get(address, expect=403)
        if "POST" in methods:
            charlie.client.post(address, expect=403)
