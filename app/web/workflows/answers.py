"""A pasted answer of the other system: what the captures find in it, and what it says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.connectors.capture import Looked, check_source
from app.connectors.html import is_html
from app.domain.json_reader import strict_json
from app.domain.mapping.json_paths import stand_in
from app.domain.steps.base import CaptureRule
from app.domain.steps.call_fields import CAPTURE
from app.domain.steps.condition_rows import EXPECT, condition_rows
from app.domain.steps.fields import Values, first, table
from app.domain.steps.proposals import SHAPES, Notice, Shape, noticed

MAX_ANSWER = 64 * 1024
_HEADER = "header:"


@dataclass(frozen=True, slots=True)
class TriedCapture:
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


def try_captures(typed: Values) -> Sequence[TriedCapture]:
    """What each row of captures finds in the pasted answer; nothing while none is pasted."""
    text = first(typed, "sample_answer")
    if not text.strip():
        return ()
    headers, body = _parts(text.replace("\r\n", "\n"))
    raw = body.encode("utf-8", "replace")
    rows = [row for row in table(typed, *CAPTURE.columns) if row[0].strip() or row[1].strip()]
    return [_tried(_rule(*row), headers, raw) for row in rows]


def look_at_answer(typed: Values) -> tuple[bool, Sequence[tuple[Notice, Shape]]]:
    """Whether the pasted answer is a web page, and what it says of itself that the step does not ask for yet."""
    _, body = _parts(first(typed, "sample_answer").replace("\r\n", "\n"))
    try:
        found = noticed(strict_json(body))
    except (ValueError, RecursionError):
        return is_html({}, body.encode("utf-8", "replace")), ()
    asked = [row[0].strip() for _, row in condition_rows(typed, EXPECT)]
    pairs = [(one, SHAPES[one.shape]) for one in found]
    return False, [(one, shape) for one, shape in pairs if shape.expect[0].of not in asked]


def _rule(name: str, source: str, optional: str, _keep: str, of: str) -> CaptureRule:
    """The rule of a row; one without a name is called by its place."""
    called = name.strip() or source.strip()
    return CaptureRule(
        called, source.strip(), optional=bool(optional), many=of == "list", first=of == "first"
    )


def _tried(rule: CaptureRule, headers: Mapping[str, str] | None, body: bytes) -> TriedCapture:
    called, source = rule.name, rule.source
    problem = check_source(source) if source else "Say where the value is found."
    if problem:
        return TriedCapture(called, problem, False)
    known: dict[str, str] = {}
    if source.startswith(_HEADER):
        if headers is None:
            return TriedCapture(called, "Paste the answer with its headers, as curl -i prints it.", False)
        wanted = source.removeprefix(_HEADER).strip()
        known = {wanted: headers.get(wanted.lower(), "")}
    looked = Looked(_Answer(known, body, len(body) > MAX_ANSWER))
    wanted_here = replace(rule, source=stand_in(source))
    found = looked.capture([replace(wanted_here, optional=False)])
    if called in found.lacking:
        reason = found.lacking[called]
        goes_on = rule.optional and not looked.capture([wanted_here]).lacking
        after = "It is optional, so the step goes on." if goes_on else "The step would fail."
        return TriedCapture(called, f"{reason[0].upper()}{reason[1:]}. {after}", False)
    return TriedCapture(called, json.dumps(found.values[called], ensure_ascii=False), True)


def _parts(text: str) -> tuple[Mapping[str, str] | None, str]:
    """The headers by lower-case name, None when there are none, and the body."""
    if not text.startswith("HTTP/"):
        return None, text
    head, _, body = text.partition("\n\n")
    pairs = (line.partition(":") for line in head.splitlines()[1:])
    return {name.strip().lower(): value.strip() for name, _, value in pairs}, body
