"""The API / HTTP step in the editor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.domain.json_reader import Json, Problem
from app.domain.steps.calls import IDEMPOTENT_METHODS
from app.domain.steps.fields import (
    BODY,
    CALL_PARTS,
    RowGroup,
    StepForm,
    StepJson,
    Values,
    call_values,
    columns_of,
    first,
    mapping_group,
    read_call,
    read_mapping,
    rows_of,
    table,
    text_of,
)
from app.domain.steps.rows import flat_rows, from_rows

QUERY = mapping_group("query")
HEADER = RowGroup(("header_name", "header_value"), (0, 1))
CAPTURE = RowGroup(("capture_name", "capture_source", "capture_optional"), (0, 1))


def _values(step: Mapping[str, Json]) -> dict[str, list[str]]:
    method = text_of(step.get("method")) or "GET"
    headers, capture = step.get("headers"), step.get("capture")
    values: dict[str, list[str]] = {
        "method": [method],
        "path": [text_of(step.get("path"))],
        "body_format": [text_of(step.get("body_format")) or "json"],
        **{column: [] for column in (*HEADER.columns, *CAPTURE.columns)},
        **columns_of(QUERY, flat_rows(step.get("query"))),
        **call_values(step, idempotent=method in IDEMPOTENT_METHODS, needs_body=False),
    }
    for name, value in headers.items() if isinstance(headers, dict) else ():
        values["header_name"].append(name)
        values["header_value"].append(text_of(value))
    for name, source in capture.items() if isinstance(capture, dict) else ():
        rule = source if isinstance(source, dict) else {"path": source}
        values["capture_name"].append(name)
        values["capture_source"].append(text_of(rule.get("path")))
        values["capture_optional"].append("1" if rule.get("optional") is True else "")
    return values


def _read(values: Values, errors: list[Problem]) -> StepJson:
    query = read_mapping(errors, "query", lambda: from_rows(rows_of(values, QUERY), dotted=False))
    headers: list[tuple[str, Json]] = [(name, value) for name, value in table(values, *HEADER.columns)]
    return {
        "method": first(values, "method") or "GET",
        "path": first(values, "path").strip(),
        "query": query or {},
        "headers": _named(errors, "header", headers),
        **read_call(values, errors),
        "body_format": first(values, "body_format") or "json",
        "capture": _named(errors, "capture", _captures(values)),
    }


def _captures(values: Values) -> list[tuple[str, Json]]:
    return [
        (name, {"path": source.strip(), "optional": True} if optional else source.strip())
        for name, source, optional in table(values, *CAPTURE.columns)
    ]


def _named(errors: list[Problem], at: str, pairs: Sequence[tuple[str, Json]]) -> StepJson:
    """An object from rows whose names must differ; rows without name and value are left out."""
    found: StepJson = {}
    for index, (typed, value) in enumerate(pairs):
        name = typed.strip()
        is_empty = value in ("", {"path": "", "optional": True})
        if not name and is_empty:
            continue
        if not name:
            errors.append(Problem(at, f"Row {index + 1}: This value has no name."))
        elif name in found:
            errors.append(Problem(at, f"Row {index + 1}: The name {name} is there twice."))
        found[name] = value
    return found


FORM = StepForm(
    icon="api",
    previews="What would be sent",
    parts=CALL_PARTS,
    groups={"query": QUERY, "header": HEADER, "body": BODY, "capture": CAPTURE},
    blank={"method": "POST", "path": "", "body": {}},
    values=_values,
    read=_read,
)
