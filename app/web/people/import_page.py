"""Importing people from a CSV file: a report of every line first, and then the same lines saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue

from app.clock import now
from app.errors import Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.schemas.people_csv import COLUMNS, FIELD, MAX_BYTES, MAX_LINES, decoded, lines_of
from app.services import people_import
from app.services.people_import import LineKind, LineOutcome
from app.services.transaction import transaction
from app.web.forms import FormState
from app.web.people.blueprint import bp

# Room for the file as it was chosen and as the page holds it.
_MAX_REQUEST = 4 * MAX_BYTES
# More lines than this are counted and not listed, those that need a look first.
_LISTED = 100
_TONES = {
    LineKind.NEW: ("ok", "New", "plus"),
    LineKind.CHANGED: ("run", "Changed", "edit"),
    LineKind.UNCHANGED: ("idle", "Unchanged", "dash"),
    LineKind.REFUSED: ("bad", "Refused", "alert"),
}


@dataclass(frozen=True, slots=True)
class Report:
    """What the lines would do (`done` False) or did."""

    listed: list[LineOutcome]
    unlisted: int
    counts: dict[LineKind, int]
    done: bool
    fingerprint: str

    @property
    def to_save(self) -> int:
        return self.counts[LineKind.NEW] + self.counts[LineKind.CHANGED]


@bp.url_value_preprocessor
def _allow_a_file(endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Let this one form be larger than others, before anything has read it."""
    if endpoint == "people.import_lines":
        request.max_content_length = request.max_form_memory_size = _MAX_REQUEST


@bp.get("/import")
@requires("user:manage")
def start_import() -> ResponseReturnValue:
    """The empty form."""
    return _page(FormState())


@bp.post("/import")
@requires("user:manage")
def import_lines() -> ResponseReturnValue:
    """Report on each line; with the Save button save them, if they would still do what was shown."""
    chosen, text = request.files.get("file"), request.form.get(FIELD, "")
    try:
        if chosen is not None and chosen.filename:
            text = decoded(chosen.stream.read(MAX_BYTES + 1))
        lines = lines_of(text)
    except Invalid as refused:
        return _page(FormState.of({FIELD: text}, refused.errors), status=422)
    actor = current_actor()
    planned = people_import.plan(db.session(), actor, lines)
    shown = people_import.fingerprint(planned)
    form = FormState.of({FIELD: text})
    if "save" not in request.form:
        return _page(form, _report(planned, shown))
    if request.form.get("checked") != shown:
        return _page(form, _report(planned, shown), saved_meanwhile=True, status=409)
    done: list[LineOutcome] = []
    for batch in people_import.batches(lines, planned):
        with transaction() as session:
            done += people_import.apply(session, actor, batch, now=now())
    return _page(form, _report(people_import.merged(planned, done), shown, done=True))


def _report(outcomes: list[LineOutcome], fingerprint: str, *, done: bool = False) -> Report:
    order = (LineKind.REFUSED, LineKind.CHANGED, LineKind.NEW, LineKind.UNCHANGED)
    sorted_out = sorted(outcomes, key=lambda one: (order.index(one.kind), one.line))
    unlisted = max(0, len(outcomes) - _LISTED)
    return Report(sorted_out[:_LISTED], unlisted, people_import.counts(outcomes), done, fingerprint)


def _page(
    form: FormState, report: Report | None = None, *, saved_meanwhile: bool = False, status: int = 200
) -> ResponseReturnValue:
    page = render_template(
        "people/import.html",
        form=form,
        report=report,
        saved_meanwhile=saved_meanwhile,
        tones=_TONES,
        kinds=list(LineKind),
        columns=COLUMNS,
        most=MAX_LINES,
    )
    return page, status
