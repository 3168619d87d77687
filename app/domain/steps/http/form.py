"""The API / HTTP step in the editor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.domain.json_reader import Json, Problem
from app.domain.steps.call_fields import CALL_GROUPS, CALL_PARTS, CAPTURE, call_values, read_call
from app.domain.steps.calls import IDEMPOTENT_METHODS
from app.domain.steps.condition_rows import EXPECT, condition_values, read_condition_rows
from app.domain.steps.fields import (
    RowGroup,
    StepForm,
    StepJson,
    Values,
    columns_of,
    first,
    mapping_group,
    read_mapping,
    rows_of,
    table,
    text_of,
)
from app.domain.steps.rows import flat_rows, from_rows

QUERY = mapping_group("query")
HEADER = RowGroup(("header_name", "header_value"), (0, 1))


def _values(step: Mapping[str, Json]) -> dict[str, list[str]]:
    method = text_of(step.get("method")) or "GET"
    headers, capture = step.get("headers"), step.get("capture")
    values: dict[str, list[str]] = {
        "method": [method],
        "path": [text_of(step.get("path"))],
        "body_format": [text_of(step.get("body_format")) or "json"],
        **{column: [] for column in (*HEADER.columns, *CAPTURE.columns)},
        "failure_reason": [text_of(step.get("failure_reason"))],
        **condition_values(EXPECT, step.get("expect"), "path"),
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
        values["capture_keep"].append(_kept_word(rule))
        values["capture_of"].append(
            "list" if rule.get("list") is True else "first" if rule.get("choose") == "first" else ""
        )
    return values


def _read(values: Values, errors: list[Problem]) -> StepJson:
    query = read_mapping(errors, "query", lambda: from_rows(rows_of(values, QUERY), dotted=False))
    headers: list[tuple[str, Json]] = [(name, value) for name, value in table(values, *HEADER.columns)]
    reason = first(values, "failure_reason").strip()
    return {
        "method": first(values, "method") or "GET",
        "path": first(values, "path").strip(),
        "query": query or {},
        "headers": _named(errors, "header", headers),
        **read_call(values, errors),
        "body_format": first(values, "body_format") or "json",
        "capture": _named(errors, "capture", _captures(values)),
        **read_condition_rows(values, EXPECT, "path", errors),
        **({"failure_reason": reason} if reason else {}),
    }


def _kept_word(rule: Mapping[str, Json]) -> str:
    if rule.get("same") is True:
        return "same"
    return {"grant": "grant", "False": "run"}.get(str(rule.get("keep")), "")


def _captures(values: Values) -> list[tuple[str, Json]]:
    """Each row's name and rule: the path alone where nothing more is said of it."""
    found: list[tuple[str, Json]] = []
    for name, source, optional, kept, of in table(values, *CAPTURE.columns):
        marks: dict[str, Json] = {
            **({"optional": True} if optional else {}),
            **({"keep": "grant" if kept == "grant" else False} if kept in ("grant", "run") else {}),
            **({"same": True} if kept == "same" else {}),
            **({"list": True} if of == "list" else {}),
            **({"choose": "first"} if of == "first" else {}),
        }
        path = source.strip()
        found.append((name, {"path": path, **marks} if marks and (path or name.strip()) else path))
    return found


def _named(errors: list[Problem], at: str, pairs: Sequence[tuple[str, Json]]) -> StepJson:
    """An object from rows whose names must differ; rows without name and value are left out."""
    found: StepJson = {}
    for index, (typed, value) in enumerate(pairs):
        name = typed.strip()
        if not name and value == "":
            continue
        if not name:
            errors.append(Problem(f"{at}_name-{index + 1}", "This value has no name."))
        elif name in found:
            errors.append(Problem(f"{at}_name-{index + 1}", f"The name {name} is there twice."))
        found[name] = value
    return found


FORM = StepForm(
    icon="api",
    previews="What would be sent",
    parts=CALL_PARTS,
    groups={"query": QUERY, "header": HEADER, "capture": CAPTURE, "expect": EXPECT, **CALL_GROUPS},
    blank={"method": "POST", "path": "", "body": {}},
    values=_values,
    read=_read,
)
