"""Tokens in the string literals of a JSONPath, and nowhere else in it."""

from __future__ import annotations

import pytest

from app.domain.mapping.json_paths import json_path_problems, render_json_path, stand_in
from app.domain.mapping.templates import MappingError

MAIL = "$.items[?@.email == '{{ grantee.email }}'].id"


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("$.id", "$.id"),
        ("header:Location", "header:Location"),
        (MAIL, "$.items[?@.email == 'o\\'neil\"@x.org'].id"),
        ('$[?@.a == "{{ grantee.email | upper }}"]', '$[?@.a == "O\'NEIL\\"@X.ORG"]'),
        ("$['{{ account.odd }}']", "$['a\\\\b\u2028']"),
        ("$['it\\'s {{ grant.id }}-{{ grant.id }}'][0]", "$['it\\'s 7-7'][0]"),
    ],
)
def test_a_value_is_written_as_the_literal_around_it_wants(template, path):
    context = {"grantee": {"email": "o'neil\"@x.org"}, "account": {"odd": "a\\b\u2028"}, "grant": {"id": 7}}
    assert json_path_problems(template) == []
    assert render_json_path(template, context) == path


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("$.{{ account.id }}", "account.id }} only inside quotes"),
        ("$[?@.id == {{ account.id }}]", "only inside quotes"),
        ("$['a'].{{ account.id }}", "only inside quotes"),
        ("$[?@.a == '{{ account.id }}].id", "never closes the quotes"),
        ("$['\\{{ account.id }}']", "backslash"),
        ("$['{{ account.id }']", "close it"),
        ("header:{{ account.id }}", "header"),
    ],
)
def test_a_token_anywhere_else_is_refused(template, words):
    assert words in json_path_problems(template)[0]
    with pytest.raises(MappingError, match=r"^capture: ") as caught:
        render_json_path(template, {"account": {"id": "x"}})
    assert words in caught.value.message


@pytest.mark.parametrize("value", [None, "", " ", [], "a\nb", "\x7f"])
def test_what_is_empty_or_cannot_stand_there_is_refused(value):
    with pytest.raises(MappingError, match=r"grantee\.email"):
        render_json_path(MAIL, {"grantee": {"email": value}})


def test_what_stands_in_for_the_tokens_can_be_compiled():
    assert stand_in("$.id") == "$.id"
    assert stand_in(MAIL) == "$.items[?@.email == 'x'].id"
