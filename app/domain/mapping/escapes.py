"""A value made safe inside another language: what it reads there is the value, and nothing of it is syntax."""

from __future__ import annotations

import json
import re

# What XML 1.0 cannot hold, not even as a reference (§2.2, Char). Halves of characters are refused before.
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ufffd\U00010000-\U0010ffff]")
_LDAP = str.maketrans({one: f"\\{ord(one):02x}" for one in "\\*()\0"})
# Blanks of an attribute that is read would become spaces (§3.3.3), so they are named.
_XML = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
    | {one: f"&#{ord(one)};" for one in "\t\n\r"}
)


def in_scim(text: str) -> str:
    """The inside of a string in a SCIM filter, which is one of JSON (RFC 7644 §3.4.2.2)."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def in_json(text: str) -> str:
    """The inside of a JSON or GraphQL string, without what JavaScript takes for the end of a line."""
    return in_scim(text).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def in_ldap(text: str) -> str:
    """A value in an LDAP filter (RFC 4515 §3)."""
    return text.translate(_LDAP)


def in_xml(text: str) -> str:
    """Text or an attribute's value in XML; raises ValueError for a character that XML cannot hold."""
    if _NOT_IN_XML.search(text):
        raise ValueError("holds a character that XML cannot")
    return text.translate(_XML)
