"""No value leaves the place that a template of another language has for it, and a broken filter is found out."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonpath import JSONPathEnvironment
from jsonpath.exceptions import JSONPathError

from app.domain.mapping import escapes, filters, json_paths
from app.domain.mapping.render import render_query, render_value
from app.domain.mapping.templates import MappingError
from tests.support.domain.languages import graphql_tokens, ldap_tree, scim_tokens

PATHS = JSONPathEnvironment(strict=True)
CONTROLS = {chr(number) for number in (*range(32), *range(127, 160))}
NOT_IN_XML = {chr(number) for number in range(32)} - set("\t\n\r") | {"\ufffe", "\uffff"}
# Whole pieces of the languages, and any text at all.
PIECES = (
    '"',
    "'",
    "\\",
    '\\"',
    "\\u0022",
    '" or userName eq "root',
    "*",
    "(",
    ")",
    ")(uid=*",
    "\\2a",
    "<",
    ">",
    "&",
)
MORE = (
    "&quot;",
    "</a>",
    "]]>",
    "{{ account.id }}",
    "]",
    "' || true || '",
    "\u2028",
    "\r",
    "\n",
    "\t",
    "a",
    "é",
    "🙂",
    " ",
)
values = st.lists(st.sampled_from(PIECES + MORE), min_size=1, max_size=6).map("".join) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20
)
hostile = values.filter(lambda value: bool(value.strip()))


def written(template: str, value: str) -> str:
    made = render_value(template, {"account": {"id": value}})
    assert isinstance(made, str)
    return made


def stays_in_scim(value: str) -> None:
    template = 'userName eq "{{ account.id | scim }}" and active eq true'
    [(_, made)] = render_query({"filter": template}, {"account": {"id": value}})
    words = [("word", one) for one in ("userName", "eq", "and", "active", "eq", "true")]
    assert scim_tokens(made) == [*words[:2], ("text", value), *words[2:]]


def stays_in_graphql(value: str) -> None:
    made = graphql_tokens(written('{ user(name: "{{ account.id | json }}") { id } }', value))
    assert made[5] == ("text", value)
    assert made[:5] + made[6:] == graphql_tokens("{ user(name: ) { id } }")


def stays_in_json(value: str) -> None:
    made = written('{"a": "{{ account.id | json }}", "b": 1}', value)
    assert json.loads(made) == {"a": value, "b": 1}
    assert not set(made) & {"\u2028", "\u2029"}


def stays_in_ldap(value: str) -> None:
    made = written(
        "(&(objectClass=user)(|(uid={{ account.id | ldap }})(cn=*{{ account.id | ldap }}*)))", value
    )
    either = ("|", [("uid", [value]), ("cn", ["", "*", value, "*", ""])])
    assert ldap_tree(made) == ("&", [("objectClass", ["user"]), either])


def stays_in_xml(value: str) -> None:
    template = "<a one=\"{{ account.id | xml }}\" two='{{ account.id | xml }}'>{{ account.id | xml }}</a>"
    if set(value) & NOT_IN_XML:
        with pytest.raises(MappingError, match="XML cannot"):
            written(template, value)
        return
    tree = ElementTree.fromstring(written(template, value))
    assert (tree.attrib, tree.text, len(tree)) == ({"one": value, "two": value}, value, 0)


def stays_in_a_path(value: str) -> None:
    people = [
        {"id": "other", "key": f"x{value}"},
        {"id": "wanted", "key": value},
        {"id": "last", "key": f"{value}x"},
    ]
    for quote in "'\"":
        template = f"$[?@.key == {quote}{{{{ account.id }}}}{quote}].id"
        if set(value) & CONTROLS:
            with pytest.raises(MappingError, match="control character"):
                json_paths.render_json_path(template, {"account": {"id": value}})
        else:
            path = json_paths.render_json_path(template, {"account": {"id": value}})
            assert PATHS.findall(path, people) == ["wanted"]


PROPERTIES: list[Callable[[str], None]] = [
    stays_in_scim,
    stays_in_graphql,
    stays_in_json,
    stays_in_ldap,
    stays_in_xml,
    stays_in_a_path,
]


@pytest.mark.parametrize("check", PROPERTIES)
@given(value=hostile)
def test_no_value_leaves_its_place(check: Callable[[str], None], value: str) -> None:
    check(value)


# Of each seed: what is broken, the passage that the bug replaces, and the property that must notice.
_DUMPS = "json.dumps(text, ensure_ascii=False)[1:-1]"
SEEDS: dict[str, tuple[ModuleType, str, str, Callable[[str], None]]] = {
    "scim forgets the backslash": (escapes, _DUMPS, "text.replace('\"', '\\\\\"')", stays_in_scim),
    "scim forgets the quotation mark": (escapes, _DUMPS, "text.replace('\\\\', '\\\\\\\\')", stays_in_scim),
    "json forgets controls": (
        escapes,
        _DUMPS,
        "text.replace('\\\\', '\\\\\\\\').replace('\"', '\\\\\"')",
        stays_in_graphql,
    ),
    "json keeps the quotes": (escapes, "ensure_ascii=False)[1:-1]", "ensure_ascii=False)", stays_in_json),
    "json forgets a line's end": (escapes, '.replace("\\u2028", "\\\\u2028")', "", stays_in_json),
    "ldap forgets the backslash": (escapes, '"\\\\*()\\0"', '"*()\\0"', stays_in_ldap),
    "ldap forgets the star": (escapes, '"\\\\*()\\0"', '"\\\\()\\0"', stays_in_ldap),
    "ldap forgets a bracket": (escapes, '"\\\\*()\\0"', '"\\\\*(\\0"', stays_in_ldap),
    "xml forgets the ampersand": (escapes, '"&": "&amp;", ', "", stays_in_xml),
    "xml forgets the quotation mark": (escapes, '\'"\': "&quot;", ', "", stays_in_xml),
    "xml forgets the apostrophe": (escapes, ', "\'": "&apos;"', "", stays_in_xml),
    "xml forgets the end of a line": (escapes, 'in "\\t\\n\\r"', 'in "\\t\\n"', stays_in_xml),
    "xml takes every character": (escapes, "if _NOT_IN_XML.search(text):", "if False:", stays_in_xml),
    "a path forgets the backslash": (json_paths, '.replace("\\\\", "\\\\\\\\")', "", stays_in_a_path),
    "a path forgets its quote": (json_paths, '.replace(quote, f"\\\\{quote}")', "", stays_in_a_path),
}
BRIEFLY = settings(
    max_examples=300,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    print_blob=False,
    report_multiple_bugs=False,
)


@pytest.mark.parametrize("bug", SEEDS)
def test_the_properties_find(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, passage, instead, stays = SEEDS[bug]
    source = inspect.getsource(module)
    assert source.count(passage) == 1, "the passage that this seed replaces is no longer there"
    broken: dict[str, Any] = {"__name__": module.__name__}
    exec(compile(source.replace(passage, instead), f"{module.__name__} with a bug", "exec"), broken)
    for name in ("scim", "json", "ldap", "xml") if module is escapes else ():
        monkeypatch.setitem(filters._TEXT_FILTERS, name, broken[f"in_{name}"])
    if module is json_paths:
        monkeypatch.setattr(json_paths, "render_json_path", broken["render_json_path"])
    # It reads something else, cannot be read, or is sent although it should not be.
    noticed = (AssertionError, ValueError, ElementTree.ParseError, JSONPathError, pytest.fail.Exception)
    with pytest.raises(noticed):
        BRIEFLY(given(value=hostile)(stays))()
