"""Small strict readers of the languages that templates write: each takes what its own standard takes and no more."""

from __future__ import annotations

import json
import re
from typing import Any

Tokens = list[tuple[str, Any]]
_STRING = r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"'
_SCIM = re.compile(rf"(?P<text>{_STRING})|(?P<word>[A-Za-z$][\w.:$-]*)|(?P<number>-?\d+)|(?P<sign>[()\[\]])")
_GRAPHQL = re.compile(
    rf'(?P<block>""")|(?P<text>{_STRING})|(?P<word>[_A-Za-z]\w*)|(?P<number>-?\d+)|(?P<sign>[!$&()\[\]{{}}:=@|])',
    re.ASCII,
)
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9;.-]*")


def _tokens(text: str, grammar: re.Pattern[str], between: str) -> Tokens:
    found: Tokens = []
    at = 0
    while at < len(text):
        if text[at] in between:
            at += 1
            continue
        match = grammar.match(text, at)
        assert match is not None, f"nothing that the language knows stands at {at}"
        kind = str(match.lastgroup)
        found.append((kind, json.loads(match[0]) if kind == "text" else match[0]))
        at = match.end()
    return found


def scim_tokens(text: str) -> Tokens:
    """A SCIM filter (RFC 7644 §3.4.2.2) in its words and values."""
    return _tokens(text, _SCIM, " ")


def graphql_tokens(text: str) -> Tokens:
    """A GraphQL document in its words and values; block strings are only named."""
    return _tokens(text, _GRAPHQL, " \t\n\r,")


def ldap_tree(text: str) -> Any:
    """An LDAP filter (RFC 4515 §3): ("&", parts), ("|", parts), or (attribute, value) with "*" for any text."""
    tree, at = _ldap(text, 0)
    assert at == len(text), "something follows the filter"
    return tree


def _ldap(text: str, at: int) -> tuple[Any, int]:
    assert text[at : at + 1] == "(", "a filter begins with a bracket"
    at += 1
    if text[at] in "&|":
        sign, parts = text[at], []
        at += 1
        while text[at : at + 1] != ")":
            part, at = _ldap(text, at)
            parts.append(part)
        return (sign, parts), at + 1
    name = _ATTRIBUTE.match(text, at)
    assert name is not None, "a comparison begins with an attribute"
    assert text[name.end() : name.end() + 1] == "=", "only = is compared with here"
    value, at = _assertion(text, name.end() + 1)
    return (name[0], value), at


def _assertion(text: str, at: int) -> tuple[list[str], int]:
    """The value up to its bracket: pieces of text, and "*" for each star that stands for any."""
    pieces, raw = [], bytearray()
    while (character := text[at : at + 1]) != ")":
        assert character not in ("", "(", "\0"), "a value cannot hold this"
        if character == "*":
            pieces += [raw.decode(), "*"]
            raw = bytearray()
        elif character == "\\":
            assert re.fullmatch(r"[0-9A-Fa-f]{2}", text[at + 1 : at + 3]), "two digits follow a backslash"
            raw.append(int(text[at + 1 : at + 3], 16))
            at += 2
        else:
            raw += character.encode()
        at += 1
    return [*pieces, raw.decode()], at + 1
