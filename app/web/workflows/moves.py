"""What the editor's buttons do to the draft. Each gives the id of the element that has the focus next."""

from __future__ import annotations

from copy import deepcopy

from app.domain.steps.base import MAX_STEPS
from app.domain.steps.call_fields import CAPTURE, poll_values
from app.domain.steps.condition_rows import EXPECT, WAIT_WHEN, condition_rows, condition_values
from app.domain.steps.conditions import conditions_to_json
from app.domain.steps.fields import BODY, StepForm, StepJson, Values, body_of, first, table
from app.domain.steps.forms import FORMS, kind_shown
from app.domain.steps.proposals import SHAPES, Shape
from app.domain.steps.rows import BadRow, pretty, to_rows
from app.errors import FieldError, Invalid
from app.web.request_values import small_number
from app.web.workflows.drafts import Draft

# The open step would be closed by these, so its fields must hold first.
_CLOSING = ("open", "close", "add", "copy")
_ORDER = ("up", "down", "remove", "undo")
_WITHIN = ("row", "drop", "body", "expect", "same")
_NO_BUTTON = "The editor has no such button."


def apply(draft: Draft, do: str, *, connections: dict[str, list[str]]) -> str:
    """Carry out `do`, such as `up:create`, and say what has the focus next ("" keeps it).

    `connections` are ids by type, so that a new step has the only one there is.  Raises Invalid for a button
    that does not exist.  When the open step cannot be read, `draft.errors` says why and it stays open.
    """
    verb, _, rest = do.partition(":")
    if verb in _CLOSING and draft.errors:
        return ""
    if verb in _WITHIN:
        return _within(draft, verb, rest)
    if verb in _ORDER:
        return _reorder(draft, verb, rest)
    match verb:
        case "apply" | "save" | "":
            return ""
        case "open":
            draft.show(draft.slot(rest).uid)
            return f"step-{rest}-name"
        case "close":
            was = draft.open
            draft.show("")
            return f"step-{was}-open" if was else ""
        case "add" if rest in FORMS:
            return _add(draft, rest, connections)
        case "copy":
            return f"step-{_room(draft).copy(rest).uid}-name"
    raise Invalid(_NO_BUTTON)


def form_of(draft: Draft) -> StepForm:
    """The form of the open step's type."""
    return FORMS[kind_shown(first(draft.typed, "type"))]


def _reorder(draft: Draft, verb: str, uid: str) -> str:
    """Buttons that change the list of steps and leave the open one as it is."""
    if verb == "remove":
        draft.remove(uid)
        return "undo"
    if verb == "undo":
        slot = _room(draft).restore()
        return f"step-{slot.uid}-open" if slot else ""
    draft.move(uid, -1 if verb == "up" else 1)
    return f"step-{uid}-{verb}"


def _within(draft: Draft, verb: str, rest: str) -> str:
    """Buttons inside the open step."""
    name, _, index = rest.partition(":")
    group = form_of(draft).groups.get(name)
    if draft.open and verb == "row" and group is not None:
        return _add_row(draft, group.columns)
    if draft.open and verb == "drop" and group is not None:
        return _drop_row(draft, group.columns, index)
    if draft.open and verb == "body" and rest in ("none", "rows", "json"):
        return _show_body(draft, rest)
    if draft.open and verb == "expect" and rest in SHAPES and "expect" in form_of(draft).groups:
        return _expect(draft, SHAPES[rest])
    if draft.open and verb == "same" and "capture" in form_of(draft).groups:
        return _same(draft, small_number(rest) or 0)
    raise Invalid(_NO_BUTTON)


def _expect(draft: Draft, shape: Shape) -> str:
    """Add what answers of this shape must say, unless it is there."""
    added = condition_values(EXPECT, conditions_to_json(shape.expect, "path"), "path")
    rows = [row for _, row in condition_rows(draft.typed, EXPECT)]
    rows += [row for row in table(added, *EXPECT.columns) if row not in rows]
    _set_rows(draft, EXPECT.columns, rows)
    if shape.failure_reason and not first(draft.typed, "failure_reason").strip():
        draft.retype({"failure_reason": [shape.failure_reason]})
    return f"step-{draft.open}-expect_of-{len(rows)}"


def _same(draft: Draft, place: int) -> str:
    """The captured value is the account that other steps capture: a row says so."""
    rows = table(draft.typed, *CAPTURE.columns)
    if place < len(rows):
        rows[place] = (*rows[place][:3], "same", rows[place][4])
        _set_rows(draft, CAPTURE.columns, rows)
    return f"step-{draft.open}-capture_name-{place + 1}"


def _room(draft: Draft) -> Draft:
    if len(draft.slots) >= MAX_STEPS:
        raise Invalid.field("", f"A workflow can have {MAX_STEPS} steps.")
    return draft


def _add(draft: Draft, kind: str, connections: dict[str, list[str]]) -> str:
    step: StepJson = {"key": "", "name": "", "type": kind, **deepcopy(dict(FORMS[kind].blank))}
    known = connections.get(kind, [])
    if len(known) == 1:
        step["connection_id"] = known[0]
    return f"step-{_room(draft).add(step).uid}-name"


def _add_row(draft: Draft, columns: tuple[str, ...]) -> str:
    rows = table(draft.typed, *columns)
    # The page ends with one blank row: this one is for a person who wants to see the next already.
    _set_rows(draft, columns, [*rows, ("",) * len(columns)])
    if columns == WAIT_WHEN.columns:
        # How long it waits has an input only beside such rows.
        draft.retype({**poll_values({}), **draft.typed})
    return f"step-{draft.open}-{columns[0]}-{len(rows) + 1}"


def _drop_row(draft: Draft, columns: tuple[str, ...], index: str) -> str:
    rows = table(draft.typed, *columns)
    place = small_number(index)
    if place is not None and place < len(rows):
        del rows[place]
        _set_rows(draft, columns, rows)
    return f"step-{draft.open}-{columns[0]}-{min(place or 0, len(rows)) + 1}"


def _set_rows(draft: Draft, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    draft.retype({column: [row[at] for row in rows] for at, column in enumerate(columns)})
    draft.reread()


def _show_body(draft: Draft, mode: str) -> str:
    """Show the body as rows, as JSON or not at all; what cannot be shown that way stays, with the reason."""
    was = first(draft.typed, "body_as")
    try:
        changed = _converted(draft.typed, was, mode)
    except (BadRow, ValueError) as problem:
        draft.errors = [FieldError("body_json" if was == "json" else "body", str(problem))]
        return ""
    draft.retype({**changed, "body_as": [mode]})
    return f"step-{draft.open}-body-{mode}"


def _converted(typed: Values, was: str, mode: str) -> dict[str, list[str]]:
    rows_blank: dict[str, list[str]] = {column: [] for column in BODY.columns}
    if was == mode:
        return {}
    if mode == "none":
        # What was shown is kept for coming back; what it was made from is older and would be wrong then.
        return rows_blank if was == "json" else {"body_json": []}
    if was == "none":
        return _converted(typed, "json" if first(typed, "body_json").strip() else "rows", mode)
    body = body_of({**typed, "body_as": [was]})
    if mode == "json":
        return {"body_json": [pretty(body)]}
    rows = to_rows(body)
    if rows is None:
        raise ValueError("Rows can show an object only; a list or a single value stays JSON.")
    return {column: [row[at] for row in rows] for at, column in enumerate(BODY.columns)}
