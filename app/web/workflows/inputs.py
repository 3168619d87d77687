"""Which input of the editor a problem is about: `retry.wait_when[0].than` is `wait_when_than-1`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.domain.steps.call_fields import CAPTURE
from app.domain.steps.condition_rows import CONDITIONS, condition_rows
from app.domain.steps.fields import ON_STATUS, Values, first, table
from app.domain.workflows.checks import SAY_SO
from app.errors import FieldError

_GROUPS = {"query": "query", "headers": "header", "fields": "fields", "body": "body"}
_ALONE = ("success_statuses", "on_success", "on_failure")
_CONDITION = re.compile(r"(?:retry\.)?(only_if|expect|wait_when)\[([0-9]+)\](?:\.([a-z]+))?.*")
_WAITING = {"poll.every_seconds": "poll_every", "poll.for_seconds": "poll_for", "poll": "poll_every"}
_MARKS = {"keep": "capture_keep", "same": "capture_keep", "list": "capture_of", "choose": "capture_of"}


def fields_of(errors: Iterable[FieldError], typed: Values) -> list[FieldError]:
    """Errors of the open step, named by the editor's inputs; one of a row ends with the row's number, from 1."""
    found = [_input_error(error, typed) for error in errors]
    if first(typed, "body_as") != "json":
        return found
    return [FieldError("body_json", one.message) if one.field == "body" else one for one in found]


def base_of(field: str) -> str:
    """The input's name without the number of its row."""
    return field.rpartition("-")[0] or field


def _input_error(error: FieldError, typed: Values) -> FieldError:
    if condition := _CONDITION.fullmatch(error.field):
        return FieldError(_condition_place(condition, typed), error.message)
    name, _, rest = error.field.partition(".")
    plain, _, _ = name.partition("[")
    if name == "retry":
        return FieldError(_WAITING.get(rest, rest.partition("[")[0]), error.message)
    if plain in _ALONE:
        return FieldError(plain, error.message)
    if plain == "assignee":
        return FieldError("person" if rest == "user_id" else "assignee", error.message)
    if name == "capture" and rest:
        return _capture_error(rest, error.message, typed)
    if name == "on_status" and rest:
        return FieldError(_way_place(rest.partition(".")[0], typed), error.message)
    if plain in _GROUPS:
        which = rest if plain != "fields" else ""
        return FieldError(_GROUPS[plain], f"{which}: {error.message}" if which else error.message)
    return FieldError(plain or "name", error.message)


def _condition_place(found: re.Match[str], typed: Values) -> str:
    name, index, member = found[1], int(found[2]), found[3]
    rows = condition_rows(typed, CONDITIONS[name])
    column = f"{name}_{member if member in ('is', 'than') else 'of'}"
    return f"{column}-{rows[index][0] + 1}" if index < len(rows) else name


def _capture_error(rest: str, message: str, typed: Values) -> FieldError:
    name, _, member = rest.partition(".")
    names = [row[0].strip() for row in table(typed, *CAPTURE.columns)]
    if name not in names:
        return FieldError("capture", f"{name}: {message}")
    column = "capture_keep" if SAY_SO in message else _MARKS.get(member, "capture_source")
    return FieldError(f"{column}-{names.index(name) + 1}", f"{name}: {message}")


def _way_place(status: str, typed: Values) -> str:
    rows = [row[0].strip() for row in table(typed, *ON_STATUS.columns)]
    column = "on_status_step" if status.isdecimal() and len(status) == 3 else "on_status_code"
    return f"{column}-{rows.index(status) + 1}" if status in rows else "on_status"
