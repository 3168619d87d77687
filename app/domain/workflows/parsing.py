"""Reads the JSON of one step (API.md, at its end) into its type, field by field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from app.domain.json_reader import Json, Reader, is_identifier, shown
from app.domain.mapping.paths import MAX_PATH
from app.domain.mapping.render import BodyFormat
from app.domain.workflows.parsing_human import read_assignee, read_due_hours, read_fields
from app.domain.workflows.steps import (
    FAILURE_EDGES,
    IDEMPOTENT_METHODS,
    MAX_ATTEMPTS,
    MAX_CAPTURE_SOURCE,
    MAX_CAPTURES,
    MAX_DELAY_SECONDS,
    MAX_KEY,
    MAX_NAME,
    MAX_PROMPT,
    MAX_STATUS_ENTRIES,
    METHODS,
    NEXT,
    NO_RETRY,
    STOP,
    SUCCESS,
    SUCCESS_EDGES,
    Backoff,
    CaptureRule,
    Compensate,
    Edge,
    FailureEdge,
    GoTo,
    HttpStep,
    HumanStep,
    LostAnswer,
    Retry,
    StatusSet,
    Step,
    StepType,
    SuccessEdge,
    WebhookStep,
)

MAX_NAMES = 50
_STATUS = re.compile(r"([1-5][0-9]{2})(?:\s*-\s*([1-5][0-9]{2}))?")
_STATUSES = range(100, 600)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 §5.6.2, token
_COMMON = ("key", "name", "type", "on_success", "on_failure")
_CALL = (*_COMMON, "connection_id", "body", "success_statuses", "idempotent", "retry")
_KEYS = {
    StepType.HTTP: (*_CALL, "method", "path", "query", "headers", "body_format", "capture"),
    StepType.WEBHOOK: _CALL,
    StepType.HUMAN: (*_COMMON, "prompt", "fields", "assignee", "due_hours", "granter_may_act"),
}
_THINGS = {
    StepType.HTTP: "An API / HTTP step",
    StepType.WEBHOOK: "A webhook step",
    StepType.HUMAN: "A human task",
}


def read_step(reader: Reader) -> Step | None:
    """The step in `reader`; where a problem was noted, its values are stand-ins to be thrown away."""
    key = reader.identifier("key", limit=MAX_KEY, required="Give the step a key.")
    reader.step = key or None
    word = reader.choice("type", [one.value for one in StepType], default="", required="Choose a type.")
    if not word:
        return None
    kind = StepType(word)
    reader.refuse_unknown(_KEYS[kind], _THINGS[kind])
    name = reader.text("name", limit=MAX_NAME, default=key)
    on_success, on_failure = _on_success(reader), _on_failure(reader)
    match kind:
        case StepType.HTTP:
            return _http(reader, key, name, on_success, on_failure)
        case StepType.WEBHOOK:
            body = reader.mapping("body")
            return WebhookStep(
                key=key,
                name=name,
                connection_id=_connection(reader),
                body={} if body is None else body,
                success_statuses=_statuses(reader, "success_statuses", SUCCESS),
                idempotent=reader.flag("idempotent", default=False),
                retry=_retry(reader),
                on_success=on_success,
                on_failure=on_failure,
            )
        case StepType.HUMAN:
            return HumanStep(
                key=key,
                name=name,
                prompt=reader.text("prompt", limit=MAX_PROMPT, required="Say what the person is to do."),
                fields=read_fields(reader),
                assignee=read_assignee(reader),
                due_hours=read_due_hours(reader),
                granter_may_act=reader.flag("granter_may_act", default=True),
                on_success=on_success,
                on_failure=on_failure,
            )


def _http(reader: Reader, key: str, name: str, on_success: SuccessEdge, on_failure: FailureEdge) -> HttpStep:
    method = reader.choice("method", METHODS, default="GET", required="Choose a method.")
    return HttpStep(
        key=key,
        name=name,
        connection_id=_connection(reader),
        method=method,
        path=reader.text("path", limit=MAX_PATH, required="Enter a path, such as /users."),
        query=_query(reader),
        headers=_headers(reader),
        body=reader.mapping("body"),
        body_format=cast(BodyFormat, reader.choice("body_format", ("json", "form"), default="json")),
        capture=_capture(reader),
        success_statuses=_statuses(reader, "success_statuses", SUCCESS),
        idempotent=reader.flag("idempotent", default=method in IDEMPOTENT_METHODS),
        retry=_retry(reader),
        on_success=on_success,
        on_failure=on_failure,
    )


def _connection(reader: Reader) -> str:
    return reader.record_id("connection_id", required="Choose a connection.")


def _on_success(reader: Reader) -> SuccessEdge:
    words = [edge.value for edge in SUCCESS_EDGES]
    raw = reader.raw.get("on_success")
    if isinstance(raw, dict):
        found = _target(reader, "on_success", raw, ("step",))
        return GoTo(found[1]) if found else NEXT
    return Edge(reader.choice("on_success", words, default=NEXT.value))


def _on_failure(reader: Reader) -> FailureEdge:
    words = [edge.value for edge in FAILURE_EDGES]
    raw = reader.raw.get("on_failure")
    if isinstance(raw, dict):
        found = _target(reader, "on_failure", raw, ("step", "compensate"))
        if not found:
            return STOP
        return Compensate(found[1]) if found[0] == "compensate" else GoTo(found[1])
    return Edge(reader.choice("on_failure", words, default=STOP.value))


def _target(
    reader: Reader, name: str, raw: dict[object, object], kinds: tuple[str, ...]
) -> tuple[str, str] | None:
    """The kind and the key of an edge that names a step."""
    known = [kind for kind in kinds if kind in raw]
    if len(raw) != 1 or not known:
        reader.problem(name, "Name one step: " + " or ".join(f'{{"{kind}": "key"}}' for kind in kinds) + ".")
        return None
    inner = reader.inner(name, raw)
    return known[0], inner.identifier(known[0], limit=MAX_KEY, required="Name the step to go to.")


def _statuses(reader: Reader, name: str, default: StatusSet) -> StatusSet:
    if reader.raw.get(name) is None:
        return default
    before = len(reader.problems)
    ranges: list[tuple[int, int]] = []
    for index, one in enumerate(reader.items(name, most=MAX_STATUS_ENTRIES)):
        span = _status_range(one)
        if span is None:
            reader.problem(f"{name}[{index}]", "Use a status from 100 to 599, or a range such as 200-299.")
        else:
            ranges.append(span)
    if not ranges and default and len(reader.problems) == before:
        reader.problem(name, "List at least one status, or leave the field out for 200-299.")
    return StatusSet(tuple(ranges))


def _status_range(entry: object) -> tuple[int, int] | None:
    if isinstance(entry, int) and entry in _STATUSES:
        return entry, entry
    found = _STATUS.fullmatch(entry.strip()) if isinstance(entry, str) else None
    if found is None:
        return None
    low, high = int(found[1]), int(found[2] or found[1])
    return (low, high) if low <= high else None


def _retry(reader: Reader) -> Retry:
    raw = reader.members("retry")
    if not raw:
        return NO_RETRY
    inner = reader.inner("retry", raw)
    inner.refuse_unknown(("attempts", "backoff", "delay_seconds", "wait_statuses", "lost_answer"), "Retry")
    backoff = inner.choice("backoff", ("fixed", "exponential"), default=NO_RETRY.backoff)
    lost = inner.choice("lost_answer", ("resend", "ask"), default=NO_RETRY.lost_answer)
    return Retry(
        attempts=inner.whole("attempts", low=1, high=MAX_ATTEMPTS, default=NO_RETRY.attempts),
        backoff=cast(Backoff, backoff),
        delay_seconds=inner.number(
            "delay_seconds", low=0, high=MAX_DELAY_SECONDS, default=NO_RETRY.delay_seconds
        ),
        wait_statuses=_statuses(inner, "wait_statuses", NO_RETRY.wait_statuses),
        lost_answer=cast(LostAnswer, lost),
    )


def _query(reader: Reader) -> Mapping[str, Json]:
    raw = reader.members("query")
    clean = reader.mapping("query") if raw else {}
    if len(raw) > MAX_NAMES:
        reader.problem("query", f"It can have {MAX_NAMES} names; it has {len(raw):,}.")
    if not isinstance(clean, dict) or len(raw) > MAX_NAMES:
        return {}
    for name, value in clean.items():
        several = value if isinstance(value, list) else [value]
        if not name:
            reader.problem("query", "Each value needs a name.")
        elif any(isinstance(one, dict | list) for one in several):
            reader.problem(
                f"query.{shown(name)}", "It must be text, a number, true, false or a list of these."
            )
    return clean


def _headers(reader: Reader) -> Mapping[str, str]:
    raw = reader.members("headers")
    if len(raw) > MAX_NAMES:
        reader.problem("headers", f"It can have {MAX_NAMES} names; it has {len(raw):,}.")
        return {}
    inner = reader.inner("headers", raw)
    headers: dict[str, str] = {}
    seen: set[str] = set()
    for name in raw:
        word = shown(name)
        if not isinstance(name, str) or len(name) > MAX_NAME or not _HEADER_NAME.fullmatch(name):
            inner.problem(word, "A header's name can hold letters, digits and - but no space or colon.")
        elif name.lower() in seen:
            inner.problem(word, "This header is listed twice.")
        else:
            seen.add(name.lower())
            headers[name] = inner.text(name, limit=MAX_PATH)
    return headers


def _capture(reader: Reader) -> tuple[CaptureRule, ...]:
    raw = reader.members("capture")
    if len(raw) > MAX_CAPTURES:
        reader.problem("capture", f"It can have {MAX_CAPTURES} names; it has {len(raw):,}.")
        return ()
    inner = reader.inner("capture", raw)
    rules = []
    for name, value in raw.items():
        word = shown(name)
        if not isinstance(name, str) or len(name) > MAX_KEY or not is_identifier(name):
            inner.problem(word, "A captured value's name can hold letters, digits, _ and -.")
            continue
        if isinstance(value, dict):
            rule = inner.inner(name, value)
            rule.refuse_unknown(("path", "optional"), "A captured value")
            source = rule.text("path", limit=MAX_CAPTURE_SOURCE, required="Say where the value is found.")
            optional = rule.flag("optional", default=False)
        else:
            source = inner.text(name, limit=MAX_CAPTURE_SOURCE, required="Say where the value is found.")
            optional = False
        if source and not _is_capture_source(source):
            inner.problem(name, "Begin with $ for a JSONPath such as $.id, or use header:Name.")
        rules.append(CaptureRule(name, source, optional))
    return tuple(rules)


def _is_capture_source(source: str) -> bool:
    if source.startswith("header:"):
        return _HEADER_NAME.fullmatch(source.removeprefix("header:")) is not None
    return source.startswith("$")
