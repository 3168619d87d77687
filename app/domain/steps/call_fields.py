"""The editor's fields that every call has: connection, body, which answers count, when it is tried again."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.json_reader import Json, Problem
from app.domain.steps.condition_rows import (
    ONLY_IF,
    WAIT_WHEN,
    condition_values,
    read_condition_rows,
    read_status_rows,
    status_values,
)
from app.domain.steps.fields import (
    BODY,
    FLOW,
    GENERAL,
    ON_STATUS,
    PREVIEW,
    Part,
    RowGroup,
    StepJson,
    Values,
    body_of,
    columns_of,
    decimal,
    first,
    read_mapping,
    text_of,
    whole,
)
from app.domain.steps.retry import Poll
from app.domain.steps.rows import pretty, to_rows

DEFAULT_ATTEMPTS = "3"
CAPTURE = RowGroup(
    ("capture_name", "capture_source", "capture_optional", "capture_keep", "capture_of"), (0, 1)
)
DATA = Part("data", "Data", ("body", "body_json", "body_format", "capture", *CAPTURE.columns))
_RETRYING = ("retry_on", "attempts", "backoff", "delay_seconds", "lost_answer")
WAITING = ("wait_statuses", "wait_when", *WAIT_WHEN.columns, "poll_every", "poll_for", "poll_unit")
RETRY = Part("retry", "Retry", (*_RETRYING, *WAITING))
CALL_PARTS = (GENERAL, DATA, PREVIEW, RETRY, FLOW)
CALL_GROUPS = {"body": BODY, "wait_when": WAIT_WHEN, "on_status": ON_STATUS, "only_if": ONLY_IF}
# Seconds of each unit, the largest first, and its word.
UNITS = {86_400: "days", 3_600: "hours", 60: "minutes", 1: "seconds"}


def call_values(step: Mapping[str, Json], *, idempotent: bool, needs_body: bool) -> dict[str, list[str]]:
    """The fields that every call has; `idempotent` is what holds where the step does not say."""
    body, retry = step.get("body"), step.get("retry")
    retry = retry if isinstance(retry, dict) else {}
    attempts = text_of(retry.get("attempts")) or "1"
    rows = to_rows(body)
    mode = "json" if rows is None else "none" if body is None and not needs_body else "rows"
    return columns_of(BODY, rows or []) | {
        "connection_id": [text_of(step.get("connection_id"))],
        "idempotent": [_idempotent_word(step.get("idempotent"), idempotent)],
        "body_as": [mode],
        "body_json": [pretty(body) if mode == "json" else ""],
        "success_statuses": [_status_text(step.get("success_statuses")) or "200-299"],
        "retry_on": [] if attempts == "1" else ["1"],
        "attempts": [DEFAULT_ATTEMPTS if attempts == "1" else attempts],
        "backoff": [text_of(retry.get("backoff")) or "exponential"],
        "delay_seconds": [text_of(retry.get("delay_seconds")) or "1"],
        "wait_statuses": [_status_text(retry.get("wait_statuses"))],
        "lost_answer": [text_of(retry.get("lost_answer")) or "resend"],
        **condition_values(WAIT_WHEN, retry.get("wait_when"), "path"),
        **poll_values(retry),
        **status_values(step.get("on_status")),
    }


def read_call(values: Values, errors: list[Problem]) -> StepJson:
    """The JSON of what every call has; a body that is not given is null."""
    step: StepJson = {
        "connection_id": first(values, "connection_id"),
        "body": read_mapping(errors, "body", lambda: body_of(values)),
    }
    statuses = _status_json(first(values, "success_statuses"))
    if statuses:
        step["success_statuses"] = statuses
    if first(values, "idempotent") in ("yes", "no"):
        step["idempotent"] = first(values, "idempotent") == "yes"
    step |= read_status_rows(values, errors)
    step["retry"] = {
        "attempts": whole(first(values, "attempts")) if first(values, "retry_on") else 1,
        "backoff": first(values, "backoff") or "exponential",
        "delay_seconds": decimal(first(values, "delay_seconds") or "1"),
        "wait_statuses": _status_json(first(values, "wait_statuses")),
        "lost_answer": first(values, "lost_answer") or "resend",
        **read_condition_rows(values, WAIT_WHEN, "path", errors),
        **_read_poll(values),
    }
    return step


def _idempotent_word(value: Json, default: bool) -> str:
    if value is None or value is default:
        return ""
    return "yes" if value is True else "no"


def _status_text(statuses: Json) -> str:
    return ", ".join(text_of(one) for one in statuses) if isinstance(statuses, list) else text_of(statuses)


def _status_json(typed: str) -> list[Json]:
    entries = [one.strip() for one in typed.replace(";", ",").split(",")]
    return [int(one) if one.isascii() and one.isdecimal() and len(one) < 5 else one for one in entries if one]


def poll_values(retry: Mapping[str, Json]) -> dict[str, list[str]]:
    """The fields of how often, and for how long, it is asked again."""
    poll = retry.get("poll")
    poll = poll if isinstance(poll, dict) else {}
    longest = poll.get("for_seconds", Poll().for_seconds)
    unit = next((one for one in UNITS if isinstance(longest, int) and longest and longest % one == 0), 1)
    return {
        "poll_every": [text_of(poll.get("every_seconds"))],
        "poll_for": [text_of(longest // unit if isinstance(longest, int) else longest)],
        "poll_unit": [str(unit)],
    }


def poll_said(values: Values) -> str:
    """How it is asked again, "" while what is typed is no time."""
    poll = _read_poll(values).get("poll")
    poll = poll if isinstance(poll, dict) else {}
    every, longest = poll.get("every_seconds"), poll.get("for_seconds", Poll().for_seconds)
    known = isinstance(every, int | None) and isinstance(longest, int)
    return Poll(every, longest).words if known else ""  # type: ignore[arg-type]


def _read_poll(values: Values) -> StepJson:
    every, longest = whole(first(values, "poll_every")), decimal(first(values, "poll_for"))
    if isinstance(longest, int | float):
        seconds = longest * next((one for one in UNITS if str(one) == first(values, "poll_unit")), 1)
        longest = int(seconds) if float(seconds).is_integer() else seconds
    poll: StepJson = {"every_seconds": every} if every != "" else {}
    if longest not in ("", Poll().for_seconds):
        poll["for_seconds"] = longest
    return {"poll": poll} if poll else {}
