"""Captures tried on an answer that somebody pasted. It is read here and nothing of it is kept or logged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.connectors.capture import CaptureError, capture, check_source
from app.domain.steps.fields import Values, first, table

MAX_ANSWER = 64 * 1024
_COLUMNS = ("capture_name", "capture_source", "capture_optional")
_HEADER = "header:"


@dataclass(frozen=True, slots=True)
class Tried:
    """One capture: what it would keep, or why it would keep nothing."""

    name: str
    words: str
    found: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    """The pasted text, as `capture` reads an answer."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    truncated: bool = False


def try_captures(typed: Values) -> Sequence[Tried]:
    """What each row of captures finds in the pasted answer; nothing while none is pasted."""
    text = first(typed, "sample_answer")
    if not text.strip():
        return ()
    headers, body = _parts(text.replace("\r\n", "\n"))
    raw = body.encode("utf-8", "replace")
    rows = [row for row in table(typed, *_COLUMNS) if row[0].strip() or row[1].strip()]
    return [
        _tried(name.strip(), source.strip(), bool(optional), headers, raw) for name, source, optional in rows
    ]


def _tried(name: str, source: str, optional: bool, headers: Mapping[str, str] | None, body: bytes) -> Tried:
    called = name or source
    problem = check_source(source) if source else "Say where the value is found."
    if problem:
        return Tried(called, problem, False)
    known: dict[str, str] = {}
    if source.startswith(_HEADER):
        if headers is None:
            return Tried(called, "Paste the answer with its headers, as curl -i prints it.", False)
        wanted = source.removeprefix(_HEADER).strip()
        known = {wanted: headers.get(wanted.lower(), "")}
    try:
        value = capture({name: (source, False)}, _Answer(known, body, len(body) > MAX_ANSWER))[name]
    except CaptureError as refused:
        after = "It is optional, so the step goes on." if optional else "The step would fail."
        return Tried(called, f"{refused.reason[0].upper()}{refused.reason[1:]}. {after}", False)
    return Tried(called, json.dumps(value, ensure_ascii=False), True)


def _parts(text: str) -> tuple[Mapping[str, str] | None, str]:
    """The headers by lower-case name, None when there are none, and the body."""
    if not text.startswith("HTTP/"):
        return None, text
    head, _, body = text.partition("\n\n")
    pairs = (line.partition(":") for line in head.splitlines()[1:])
    return {name.strip().lower(): value.strip() for name, _, value in pairs}, body
