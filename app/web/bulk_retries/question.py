"""The question before a bulk retry, about ticked runs or what the list's own filters leave, and its start."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from flask import Response, flash, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from app.errors import AppError, Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import SkipReason
from app.models.bulk_retry import MAX_RUNS
from app.queries.bulk_retries import (
    ChosenRuns,
    ParkedConnection,
    chosen_by_filter,
    chosen_by_number,
    in_another,
    in_live_jobs,
    parked_connections,
    skip_of,
)
from app.queries.recovery_plan import Action, plan
from app.queries.run_rules import failed_steps
from app.queries.runs import RunRow
from app.schemas.base import parse
from app.schemas.bulk_retries import BulkRetryWords
from app.schemas.kinds import record_id
from app.services import bulk_retries
from app.services.bulk_retries import IN_FLIGHT, RetryOrder
from app.services.transaction import transaction
from app.web.bulk_retries.blueprint import bp
from app.web.forms import FormState
from app.web.htmx import see_other
from app.web.login_session import person
from app.web.request_values import storable
from app.web.runs.listing import RunList, read_listing

SHOWN_NUMBERS = 20


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for: the numbers of ticked runs, or else the filters of the runs list."""

    numbers: tuple[int, ...]
    listing: RunList

    @property
    def query(self) -> str:
        """The filters as a query string; "" for ticked runs."""
        return "" if self.numbers else urlencode(list(self.listing.kept))

    @property
    def back(self) -> str:
        """The list that the runs were chosen from."""
        return url_for("runs.index", status="failed") if self.numbers else self.listing.url

    @property
    def scope(self) -> str:
        """How the runs were chosen, for the record."""
        if self.numbers:
            return f"{len(self.numbers)} chosen one by one"
        return self.listing.url

    def choose(self, session: Session) -> ChosenRuns:
        """The runs; raises Invalid when none was meant, or a filter cannot be read."""
        if self.numbers:
            return chosen_by_number(session, self.numbers)
        if self.listing.filters is None:
            raise Invalid(" ".join(one.message for one in self.listing.form.errors))
        if not self.listing.kept:
            raise Invalid.field("runs", "Tick runs in the list, or narrow it by a filter first.")
        return chosen_by_filter(session, self.listing.filters)


def read_selection(args: MultiDict[str, str], query: str | None = None) -> Selection:
    """From an address, or from a form with its hidden `query`."""
    numbers = [number for text in args.getlist("run") if (number := record_id(text)) is not None]
    filters = MultiDict(parse_qsl(query)) if query is not None else args
    return Selection(tuple(dict.fromkeys(numbers)), read_listing(filters))


@dataclass(frozen=True, slots=True)
class AlikeRuns:
    """Runs that failed alike."""

    application: str
    step: str
    failure: str
    runs: int


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """Runs that cannot be retried for one reason; `note` says what to do when it is the same for all."""

    reason: SkipReason
    numbers: Sequence[int]
    note: str

    @property
    def shown(self) -> Sequence[int]:
        return self.numbers[:SHOWN_NUMBERS]

    @property
    def more(self) -> int:
        """How many numbers are not shown."""
        return max(0, len(self.numbers) - SHOWN_NUMBERS)


@dataclass(frozen=True, slots=True)
class RetryQuestion:
    """What is shown before the click. `warning`: nothing has changed since the probe's run was refused.

    `parked` are the connections that calls of these runs wait for.
    """

    runs: int
    groups: Sequence[AlikeRuns]
    left_alone: Sequence[LeftAlone]
    left_out: bool
    probe: RunRow | None
    warning: str
    parked: Sequence[ParkedConnection]
    name: str

    max_runs = MAX_RUNS

    @property
    def causes(self) -> int:
        """Of how many causes a run goes first."""
        return len(self.groups)

    @property
    def parked_words(self) -> str:
        """Why calls of these runs wait, and how long."""
        refused = [one.name for one in self.parked if not one.may_go_on]
        away = [one.name for one in self.parked if one.may_go_on]
        waits = f"No call goes to {' and '.join(away)} until it is back, and this job waits as long."
        until = "Replace that first: until then no call goes to it."
        replace = f"{' and '.join(refused)} has refused the credential. {until}"
        return " ".join([*([waits] if away else []), *([replace] if refused else [])])

    @property
    def may_go_on(self) -> str:
        """The names of the parked connections that a person may let go on."""
        return ", ".join(one.name for one in self.parked if one.may_go_on)


def question_of(session: Session, choice: ChosenRuns) -> RetryQuestion:
    """What a bulk retry of these runs would do, in a fixed number of statements."""
    busy = in_live_jobs(session, [row.run.id for row in choice.rows]) if choice.rows else {}
    steps = failed_steps(session, [row.run for row in choice.rows]) if choice.rows else {}
    kept: list[RunRow] = []
    alone: dict[SkipReason, dict[int, str]] = {}
    for row in choice.rows:
        number = row.run.id
        why = skip_of(row.run, newer=row.replaced_by, stale=row.stale, step=steps[number])
        if why is None and number in busy:
            why = in_another(busy[number])
        if why is None:
            kept.append(row)
        else:
            alone.setdefault(why.reason, {})[number] = why.note
    groups = _groups(kept)
    first = plan(session, kept[0].run, Action.RETRY) if kept else None
    return RetryQuestion(
        runs=len(kept),
        groups=groups,
        left_alone=[_left_alone(reason, notes) for reason, notes in alone.items()],
        left_out=choice.left_out,
        probe=kept[0] if kept else None,
        warning=first.note if first is not None and first.repeats else "",
        parked=parked_connections(session, [row.run for row in kept]),
        name=_name(groups, len(kept)),
    )


def _groups(rows: Sequence[RunRow]) -> list[AlikeRuns]:
    counted = Counter(
        (row.run.application.name, row.failed_step or "–", row.failure or "Failed by a person")
        for row in rows
    )
    return [AlikeRuns(*cause, count) for cause, count in counted.most_common()]


def _left_alone(reason: SkipReason, notes: Mapping[int, str]) -> LeftAlone:
    same = set(notes.values())
    return LeftAlone(reason, sorted(notes), same.pop() if len(same) == 1 else "")


def _name(groups: Sequence[AlikeRuns], count: int) -> str:
    if len(groups) == 1:
        [one] = groups
        return f"{one.failure} at “{one.step}”, {one.application}"[:200]
    return f"{count} failed runs"


_MAX_TOKEN = 64


@bp.get("/bulk-retries/new")
@requires("workflow:run")
def new() -> ResponseReturnValue:
    """What a bulk retry of the runs in the address would do: ticked ones, or what the list's filters leave."""
    return _page(read_selection(request.args), None)


@bp.post("/bulk-retries")
@requires("workflow:run")
def create() -> ResponseReturnValue:
    """Start it. A form that is sent twice makes one job."""
    typed = request.form
    selection = read_selection(typed, typed.get("query", ""))
    try:
        words = parse(BulkRetryWords, {name: typed.get(name, "") for name in ("name", "reason")})
        with transaction() as session:
            choice = selection.choose(session)
            unpark = bool(typed.get("unpark"))
            wanted = RetryOrder(words.name, words.reason, _token(), selection.scope, choice.left_out, unpark)
            number = bulk_retries.start(session, current_actor(), wanted, choice.rows).id
    except Invalid as refused:
        return _page(selection, refused)
    flash(f"Bulk retry {number} has started. One run of each cause goes first as a probe.", "ok")
    return see_other(url_for("bulk_retries.show", bulk_retry_id=number))


def _page(selection: Selection, refused: Invalid | None) -> Response:
    """The question with what was typed, or why there is none to ask."""
    question, why = None, ""
    try:
        question = question_of(db.session(), selection.choose(db.session()))
    except AppError as problem:
        why = problem.message
    html = render_template(
        "bulk_retries/new.html",
        nav="runs",
        selection=selection,
        question=question,
        why=why,
        form=_form(refused, question.name if question else ""),
        token=_token(),
        in_flight=IN_FLIGHT,
    )
    return make_response(html, 422 if refused is not None or why else 200)


def _form(refused: Invalid | None, name: str) -> FormState:
    if refused is not None:
        fields = [one for one in refused.errors if one.field in ("name", "reason")]
        return FormState.sent(fields or refused.errors)
    reader = person()
    return FormState.of({"name": name, "reason": f"Retry from console by {reader.email if reader else ''}"})


def _token() -> str:
    """The form's own: it makes one job, however often the form is sent."""
    return storable(request.form.get("token", ""))[:_MAX_TOKEN] or secrets.token_urlsafe(24)
