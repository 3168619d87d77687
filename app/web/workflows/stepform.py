"""One step as the fields of the editor, and back to the JSON of the API.

What a field holds is never thrown away: a number that is none stays as its text in the JSON, where the engine
says what is wrong with it. Only rows and raw JSON can be beyond JSON; these are refused here, field by field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from app.domain.json_reader import Json
from app.domain.steps.calls import IDEMPOTENT_METHODS
from app.errors import FieldError
from app.web.workflows.humanform import human_from, human_values
from app.web.workflows.reading import decimal, first, slug, text_of, whole
from app.web.workflows.rows import BadRow, Row, flat_rows, from_rows, kind_of, parse_json, pretty, to_rows

StepJson: TypeAlias = dict[str, Json]
Values: TypeAlias = Mapping[str, Sequence[str]]

DEFAULT_ATTEMPTS = "3"
_HEADER = ("header_name", "header_value")
_CAPTURE = ("capture_name", "capture_source", "capture_optional")


def to_values(step: StepJson) -> dict[str, list[str]]:
    """The editor's fields for `step`, whatever JSON it holds."""
    kind = text_of(step.get("type"))
    values = {
        "type": [kind],
        "name": [text_of(step.get("name"))],
        "key": [text_of(step.get("key"))],
        **_edge_values("on_success", step.get("on_success"), "next"),
        **_edge_values("on_failure", step.get("on_failure"), "stop"),
    }
    if kind == "human":
        return values | human_values(step)
    return values | _call_values(step) | (_http_values(step) if kind == "http" else {})


def from_values(values: Values) -> tuple[StepJson, list[FieldError]]:
    """The step that the fields describe, and those that no JSON can hold. A blank key comes from the name."""
    errors: list[FieldError] = []
    kind, name = first(values, "type"), first(values, "name").strip()
    step: StepJson = {
        "key": first(values, "key").strip() or slug(name),
        "name": name,
        "type": kind,
    }
    if kind == "human":
        step |= human_from(values, errors)
    else:
        step |= _call_from(values, errors, is_http=kind == "http")
    step["on_success"] = _edge_from(values, "on_success", "next")
    step["on_failure"] = _edge_from(values, "on_failure", "stop")
    return step, errors


def table(values: Values, *columns: str) -> list[tuple[str, ...]]:
    """The rows that repeated fields form; a short column is filled up with blanks."""
    lists = [list(values.get(column, ())) for column in columns]
    length = max((len(one) for one in lists), default=0)
    return [tuple(one[at] if at < len(one) else "" for one in lists) for at in range(length)]


def rows_of(values: Values, at: str) -> list[Row]:
    """The typed rows of the mapping whose fields begin with `at`."""
    return [Row(name, kind_of(kind), text) for name, kind, text in table(values, *mapping_columns(at))]


def mapping_columns(at: str) -> tuple[str, str, str]:
    return f"{at}_name", f"{at}_kind", f"{at}_value"


def body_of(values: Values) -> Json:
    """The body as its fields describe it; raises BadRow or ValueError."""
    mode = first(values, "body_as")
    if mode == "json":
        text = first(values, "body_json")
        return parse_json(text) if text.strip() else None
    return from_rows(rows_of(values, "body")) if mode == "rows" else None


def _http_values(step: StepJson) -> dict[str, list[str]]:
    method = text_of(step.get("method")) or "GET"
    headers, capture = step.get("headers"), step.get("capture")
    values = {
        "method": [method],
        "path": [text_of(step.get("path"))],
        "body_format": [text_of(step.get("body_format")) or "json"],
        "idempotent": [_idempotent_word(step.get("idempotent"), method in IDEMPOTENT_METHODS)],
        **{column: [] for column in (*_HEADER, *_CAPTURE)},
    }
    values |= _columns("query", flat_rows(step.get("query")))
    for name, value in headers.items() if isinstance(headers, dict) else ():
        values["header_name"].append(name)
        values["header_value"].append(text_of(value))
    for name, source in capture.items() if isinstance(capture, dict) else ():
        rule = source if isinstance(source, dict) else {"path": source}
        values["capture_name"].append(name)
        values["capture_source"].append(text_of(rule.get("path")))
        values["capture_optional"].append("1" if rule.get("optional") is True else "")
    return values


def _call_values(step: StepJson) -> dict[str, list[str]]:
    body, retry = step.get("body"), step.get("retry")
    retry = retry if isinstance(retry, dict) else {}
    attempts = text_of(retry.get("attempts")) or "1"
    rows = to_rows(body)
    mode = "json" if rows is None else "none" if body is None and step.get("type") == "http" else "rows"
    return _columns("body", rows or []) | {
        "connection_id": [text_of(step.get("connection_id"))],
        "idempotent": [_idempotent_word(step.get("idempotent"), False)],
        "body_as": [mode],
        "body_json": [pretty(body) if mode == "json" else ""],
        "success_statuses": [_status_text(step.get("success_statuses")) or "200-299"],
        "retry_on": [] if attempts == "1" else ["1"],
        "attempts": [DEFAULT_ATTEMPTS if attempts == "1" else attempts],
        "backoff": [text_of(retry.get("backoff")) or "exponential"],
        "delay_seconds": [text_of(retry.get("delay_seconds")) or "1"],
        "wait_statuses": [_status_text(retry.get("wait_statuses"))],
        "lost_answer": [text_of(retry.get("lost_answer")) or "resend"],
    }


def _call_from(values: Values, errors: list[FieldError], *, is_http: bool) -> StepJson:
    step: StepJson = {"connection_id": first(values, "connection_id")}
    if is_http:
        step |= {
            "method": first(values, "method") or "GET",
            "path": first(values, "path").strip(),
            "query": _mapping(errors, "query", lambda: from_rows(rows_of(values, "query"), dotted=False))
            or {},
            "headers": _headers(values, errors),
        }
    body = _mapping(errors, "body", lambda: body_of(values))
    step["body"] = {} if body is None and not is_http else body
    if is_http:
        step |= {"body_format": first(values, "body_format") or "json", "capture": _capture(values, errors)}
    statuses = _status_json(first(values, "success_statuses"))
    if statuses:
        step["success_statuses"] = statuses
    if first(values, "idempotent") in ("yes", "no"):
        step["idempotent"] = first(values, "idempotent") == "yes"
    step["retry"] = {
        "attempts": whole(first(values, "attempts")) if first(values, "retry_on") else 1,
        "backoff": first(values, "backoff") or "exponential",
        "delay_seconds": decimal(first(values, "delay_seconds") or "1"),
        "wait_statuses": _status_json(first(values, "wait_statuses")),
        "lost_answer": first(values, "lost_answer") or "resend",
    }
    return step


def _mapping(errors: list[FieldError], at: str, read: Callable[[], Json]) -> Json:
    try:
        return read()
    except BadRow as bad:
        errors.append(FieldError(at, f"Row {bad.index + 1}: {bad.message}"))
    except ValueError as problem:
        errors.append(FieldError(f"{at}_json", str(problem)))
    return None


def _headers(values: Values, errors: list[FieldError]) -> StepJson:
    pairs = table(values, *_HEADER)
    return _named(errors, "header", [(name, value) for name, value in pairs])


def _capture(values: Values, errors: list[FieldError]) -> StepJson:
    rows = table(values, *_CAPTURE)
    return _named(
        errors,
        "capture",
        [(name, {"path": source.strip(), "optional": True} if optional else source.strip())
         for name, source, optional in rows],
    )  # fmt: skip


def _named(errors: list[FieldError], at: str, pairs: Sequence[tuple[str, Json]]) -> StepJson:
    """An object from rows whose names must differ; rows without name and value are left out."""
    found: StepJson = {}
    for index, (typed, value) in enumerate(pairs):
        name = typed.strip()
        is_empty = value in ("", {"path": "", "optional": True})
        if not name and is_empty:
            continue
        if not name:
            errors.append(FieldError(at, f"Row {index + 1}: This value has no name."))
        elif name in found:
            errors.append(FieldError(at, f"Row {index + 1}: The name {name} is there twice."))
        found[name] = value
    return found


def _columns(at: str, rows: Sequence[Row]) -> dict[str, list[str]]:
    return {column: [row[place] for row in rows] for place, column in enumerate(mapping_columns(at))}


def _edge_values(name: str, edge: Json, default: str) -> dict[str, list[str]]:
    """Which way it goes, and beside it the step that two of the ways name."""
    if isinstance(edge, dict):
        kind, key = next(iter(edge.items()), ("step", ""))
        return {name: [kind], f"{name}_step": [text_of(key)]}
    return {name: [text_of(edge) or default], f"{name}_step": [""]}


def _edge_from(values: Values, name: str, default: str) -> Json:
    way = first(values, name) or default
    return {way: first(values, f"{name}_step")} if way in ("step", "compensate") else way


def _idempotent_word(value: Json, default: bool) -> str:
    if value is None or value is default:
        return ""
    return "yes" if value is True else "no"


def _status_text(statuses: Json) -> str:
    return ", ".join(text_of(one) for one in statuses) if isinstance(statuses, list) else text_of(statuses)


def _status_json(typed: str) -> list[Json]:
    entries = [one.strip() for one in typed.replace(";", ",").split(",")]
    return [int(one) if one.isascii() and one.isdecimal() and len(one) < 5 else one for one in entries if one]
