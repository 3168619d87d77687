"""Paths of URLs: what an author may write, and values that stay inside their segment."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote

from app.domain.mapping.filters import Placeholder, as_text
from app.domain.mapping.templates import MappingError, Token, compile_template
from app.domain.mapping.values import Context, single_value_of

MAX_PATH = 2_048
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DOT_SEGMENTS = frozenset({".", ".."})
# RFC 3986 §3.3: what a path may hold as it is. "%" stays, since the author may have encoded already.
_LITERAL_SAFE = "/%:@!$&'()*+,;=~"
_FORBIDDEN = (
    ("?#", "A path ends before ? or #: put the rest into Query."),
    ("{}", "Write a token with two braces on each side: {{ grantee.email }}."),
    ("\\", "Use / between the parts of a path, not a backslash."),
)


def render_path(
    template: str, context: Context, *, field: str = "path", empty: list[str] | None = None
) -> str:
    """The path of a URL, percent-encoded, beginning with `/`.

    Each value is one segment or part of one.  A value that is empty, a dot segment or holds control
    characters is refused, since the call would reach something else than was meant.
    """
    try:
        parts = _encoded_parts(template)
        return "".join([part if isinstance(part, str) else _segment(part, context, empty) for part in parts])
    except MappingError as error:
        raise error.inside(field) from None


def path_problems(template: str) -> list[str]:
    """What is wrong with a path template, in sentences for its author; tokens are not looked up."""
    if len(template) > MAX_PATH:
        return [f"A path can have {MAX_PATH:,} characters."]
    try:
        parts = compile_template(template).parts
    except MappingError as error:
        return [error.message]
    # A token stands as the one character that no template can hold.
    shape = "".join(part if isinstance(part, str) else "\0" for part in parts)
    problems = [message for marks, message in _FORBIDDEN if any(mark in shape for mark in marks)]
    if not shape.startswith("/") or shape.startswith("//"):
        problems.append("A path begins with one /. The host comes from the connection.")
    if _STRAY_PERCENT.search(shape):
        problems.append("Write a percent sign as %25.")
    if CONTROL.search(shape.replace("\0", "")):
        problems.append("A path cannot hold line breaks or other control characters.")
    if any(unquote(segment) in _DOT_SEGMENTS for segment in shape.split("/")):
        problems.append("A path cannot hold “.” or “..” as a part: write where it leads.")
    return problems


@lru_cache(maxsize=2_048)
def _encoded_parts(template: str) -> tuple[str | Token, ...]:
    problems = path_problems(template)
    if problems:
        raise MappingError("", problems[0])
    parts = compile_template(template).parts
    return tuple(quote(part, safe=_LITERAL_SAFE) if isinstance(part, str) else part for part in parts)


def _segment(token: Token, context: Context, empty: list[str] | None) -> str:
    """A value as (part of) one segment.

    That no value is empty, a dot or two dots also keeps a segment composed of several parts from being dots.
    """
    value = single_value_of(token, context, empty)
    text = as_text(value)
    if not text.strip():
        raise MappingError("", f"{token.name} is empty, so the path would name something else.")
    if text in _DOT_SEGMENTS:
        raise MappingError("", f"{token.name} came to “.” or “..”, which means another place.")
    if CONTROL.search(text):
        raise MappingError("", f"{token.name} holds a control character, which a path cannot.")
    return text if isinstance(value, Placeholder) else quote(text, safe="")
