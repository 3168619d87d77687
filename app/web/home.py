"""The page that everybody lands on: what needs the reader now, refreshed by one poller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.database import db_now
from app.domain.grants.state import GrantState
from app.domain.states import RunStatus
from app.extensions import db
from app.guard import current_actor, signed_in
from app.models import Grant
from app.permissions import Actor, may
from app.queries.applications import has_any_application
from app.queries.connections import Parking, parkings
from app.queries.failures import FailureGroup, Failures, failure_groups, group_remedies
from app.queries.grants import GrantFilters, grant_list
from app.queries.left_behind import LOOKED_AT, LeftBehinds, left_behind
from app.queries.run_words import failure_words
from app.queries.system import ENOUGH, MANY, SystemFacts, may_see_system, succeeded_lately, system_facts
from app.queries.tasks import InboxFilters, TaskRow, inbox
from app.web.grant_chip import chip_view
from app.web.htmx import no_change
from app.web.login_session import viewer_may
from app.web.polling import Poll, digest
from app.web.runs.listing import BY_PERSON
from app.web.runs.timeline import Button, remedy_buttons
from app.web.template_filters import distance, number, plural, up_to

SHOWN_GROUPS = 20
SHOWN_TASKS = 5
SHOWN_LEFT_BEHIND = 10


@dataclass(frozen=True, slots=True)
class FailureCard:
    """A group of failures in words. `runs_href` lists its runs; `mend` is the remedy's first button.

    `retry_href` asks about retrying all of them, "" where there are not several or the reader may not.
    """

    group: FailureGroup
    words: str
    runs_href: str
    mend: Button | None
    retry_href: str


@dataclass(frozen=True, slots=True)
class Home:
    """What the reader is to see; a part that they may not see is None.

    `tasks` are the first few that the reader may act on; `has_more_tasks` says that there are more.
    `parked` are the connections that hold runs up. `progress` and `strip` are sentences; `succeeded` is how many
    runs did well lately, where none needs attention.
    """

    at: datetime
    left: LeftBehinds | None
    groups: Sequence[FailureCard] | None
    failures: Failures | None
    parked: Sequence[Parking]
    tasks: Sequence[TaskRow] | None
    has_more_tasks: bool
    progress: str | None
    strip: str | None
    is_unwell: bool
    health_href: str
    succeeded: str

    @property
    def drawn(self) -> tuple[object, ...]:
        """All that is shown, as values; ages are drawn anew every minute."""
        tasks = [(row.task.id, row.step, row.task.due_at) for row in self.tasks or ()]
        minute = int(self.at.timestamp() // 60)
        return (self.left, self.groups, self.parked, tasks, self.progress, self.strip, self.succeeded, minute)

    @property
    def left_count(self) -> str:
        assert self.left is not None
        return f"{LOOKED_AT:,} or more" if self.left.count > LOOKED_AT else number(self.left.count)


def home_of(session: Session, actor: Actor) -> Home:
    """Home as `actor` sees it now, in a fixed number of statements whatever there is."""
    now = db_now(session.connection())
    reads_runs = may(actor, "workflow:read")
    failures = failure_groups(session) if reads_runs else None
    facts = system_facts(session, now=now) if reads_runs or may_see_system(actor) else None
    tasks = _tasks(session, actor, now) if may(actor, "workflow:task") else None
    parked = parkings(session) if reads_runs else []
    calm = failures is not None and not failures.groups
    return Home(
        at=now,
        left=left_behind(session, now=now, limit=SHOWN_LEFT_BEHIND) if may(actor, "grant:read") else None,
        groups=_groups(session, actor, failures.groups[:SHOWN_GROUPS]) if failures is not None else None,
        failures=failures,
        parked=parked,
        tasks=tasks[:SHOWN_TASKS] if tasks is not None else None,
        has_more_tasks=tasks is not None and len(tasks) > SHOWN_TASKS,
        progress=_progress(facts, sum(one.waiting for one in parked)) if facts else None,
        strip=_strip(facts) if facts else None,
        is_unwell=facts is not None and _is_unwell(facts),
        health_href="/system" if may_see_system(actor) else "",
        succeeded=_succeeded(session, now) if calm else "",
    )


def _tasks(session: Session, actor: Actor, now: datetime) -> list[TaskRow]:
    return inbox(session, actor, InboxFilters(view="mine"), now=now, limit=SHOWN_TASKS + 1)


def _succeeded(session: Session, now: datetime) -> str:
    count = succeeded_lately(session, now=now)
    many = f"{MANY:,} or more runs" if count > MANY else plural(count, "run")
    return f"{many} succeeded in the last 24 hours."


def _groups(session: Session, actor: Actor, groups: Sequence[FailureGroup]) -> list[FailureCard]:
    remedies = group_remedies(session, groups)
    drawn = []
    for group in groups:
        advice = remedies.get(group.cause.key)
        # Retry of group run is no mend of a group: the list of its runs is where that begins.
        buttons = remedy_buttons(advice.remedy, advice.where, actor) if advice else []
        mend = next((button for button in buttons if not button.is_retry), None)
        query = _query(group)
        several = group.retryable > 1 and may(actor, "workflow:run")
        retry = f"/bulk-retries/new?{query}" if several else ""
        drawn.append(FailureCard(group, _words(group), f"/runs?{query}", mend, retry))
    return drawn


def _words(group: FailureGroup) -> str:
    return failure_words(group.cause.failure, group.cause.status) or "Failed by a person"


def _query(group: FailureGroup) -> str:
    """The filters of the runs list that leave the group."""
    cause = group.cause
    told = {
        "application": cause.application_id,
        "status": "attention",
        "class": cause.failure or BY_PERSON,
        "connection": cause.connection_id,
        "step": cause.step,
        "code": cause.status,
    }
    return urlencode({name: value for name, value in told.items() if value is not None})


def _progress(facts: SystemFacts, waiting: int) -> str:
    """What is under way; `waiting` runs stand still until their connection is back."""
    parts = []
    if facts.queued:
        oldest = facts.oldest_queued_at
        waited = distance(oldest, facts.at).removesuffix(" ago") if oldest else ""
        parts.append(f"{up_to(facts.queued, ENOUGH)} queued, the oldest for {waited}")
    if facts.running or facts.queued:
        parts.append(f"{up_to(facts.running, ENOUGH)} {RunStatus.RUNNING.label.lower()}")
    if waiting:
        parts.append(f"{up_to(waiting, ENOUGH)} waiting for a connection")
    return "; ".join(parts) + "." if parts else "Nothing is under way."


def _strip(facts: SystemFacts) -> str:
    oldest = facts.oldest_queued_at
    waited = f" · oldest {distance(oldest, facts.at).removesuffix(' ago')}" if oldest else ""
    return f"{plural(len(facts.alive), 'worker')} online · {up_to(facts.queued, ENOUGH)} queued{waited}"


def _is_unwell(facts: SystemFacts) -> bool:
    return not facts.alive


bp = Blueprint("home", __name__)

_NEWEST = 10
_SEEN = ("grant:read", "workflow:read", "workflow:task")


@bp.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """Home. Who may see nothing of it is told what they may do instead."""
    if not any(viewer_may(one) for one in _SEEN):
        return render_template("home/no_rights.html")
    if not has_any_application(db.session()):
        return render_template("home/first_day.html", may_add=viewer_may("application:write"))
    return render_template("home/index.html", **_live())


@bp.get("/home/live")
@signed_in
def live() -> ResponseReturnValue:
    """What the page polls: 204 while it would show the same."""
    told = _live()
    return no_change() if told["poll"].is_shown else render_template("home/_live.html", **told)


def _live() -> dict[str, Any]:
    """What the part that refreshes itself shows, and the poll whose version changes with it."""
    home, troubled = home_of(db.session(), current_actor()), _troubled()
    seen = [(grant.id, grant.newest_run_id) for grant, _ in troubled or ()]
    return {"home": home, "troubled": troubled, "poll": Poll(digest(home.drawn, seen), 15)}


def _troubled() -> list[tuple[Grant, object]] | None:
    """Grants that need attention, for those who may not see the runs that failed."""
    if viewer_may("workflow:read") or not viewer_may("grant:read"):
        return None
    found = grant_list(db.session(), GrantFilters(state=GrantState.NEEDS_ATTENTION), limit=_NEWEST)
    return [(grant, chip_view(grant)) for grant in found]
