"""Every route of the app, pages and API: who may use it, what its address looks like, and who is let in."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, Rule

from app.guard import SIGNED_IN, declared
from app.web import RecordIdConverter
from tests.support.web.listed_routes import ANYBODYS, ONE_OF, ONES_OWN, SENT_TO_ONE, TASKS, calls
from tests.support.web.readers import Reader

PARAMETER = re.compile(r"<([^>]+)>")
ADDRESSES = Map(
    [Rule("/<int:number>", endpoint="it")], converters={"int": RecordIdConverter}, merge_slashes=False
)
WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(\.(json|csv|yaml))?")


def test_every_route_declares_who_may_use_it(only_sqlite: Flask) -> None:
    with only_sqlite.app_context():
        silent = [rule.rule for rule in only_sqlite.url_map.iter_rules() if declared(rule.endpoint) is None]
    assert silent == []


def test_every_route_is_listed_with_what_it_asks(only_sqlite: Flask) -> None:
    listed = {call: asked for asked, lines in ANYBODYS.items() for call in calls(lines)}
    listed |= dict.fromkeys([*calls(ONES_OWN), *calls(SENT_TO_ONE), *ONE_OF], SIGNED_IN)
    listed |= {call: "workflow:task" if len(asked) == 1 else SIGNED_IN for call, asked in TASKS.items()}
    routed = {}
    with only_sqlite.app_context():
        for rule in only_sqlite.url_map.iter_rules():
            if rule.rule.startswith(("/api/", "/static/")):
                continue
            path = re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule)
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                routed[method, path] = declared(rule.endpoint)
    new, gone = sorted(routed.items() - listed.items()), sorted(listed.items() - routed.items())
    assert not new, f"to be listed in tests/support/web/listed_routes.py with what they ask for: {new}"
    assert not gone, f"listed in tests/support/web/listed_routes.py, but not so any more: {gone}"


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


def test_the_page_of_the_api_is_the_same_for_all_and_reads_nothing(
    alice: Reader, statements: Callable[[Callable[[], object]], int]
) -> None:
    alice.client.get("/api/v1/docs")
    assert statements(lambda: alice.client.get("/api/v1/docs")) == 0


@given(st.text(max_size=25) | st.from_regex(r"[0-9]{1,21}", fullmatch=True) | st.integers().map(str))
def test_only_what_a_record_can_be_called_is_a_number_in_an_address(text: str) -> None:
    is_one = re.fullmatch("[0-9]{1,19}", text) is not None and int(text) < 2**63
    try:
        found = ADDRESSES.bind("console.example").match(f"/{text}")[1]
    except NotFound:
        assert not is_one
    else:
        assert is_one
        assert found == {"number": int(text)}
