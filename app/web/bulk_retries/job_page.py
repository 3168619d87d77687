"""One bulk retry as its page shows it: the counts, a page of its runs, and what may be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Request, url_for
from sqlalchemy.orm import Session

from app.clock import now as clock_now
from app.errors import NotFound
from app.models import BulkStatus, ItemStatus, SkipReason
from app.permissions import Actor, may
from app.queries.bulk_retries import ItemRow, Progress, bulk_items, bulk_progress, last_sweep
from app.queries.run_words import Allowed
from app.web.paging import PageLinks
from app.web.polling import Poll, Watched, watched_as
from app.web.request_values import small_number

PAGE_SIZE = 50
_PERMISSION = "workflow:run"
# The sweeper brings jobs forward; one that has been silent for so long is not there.
_SILENT = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class View:
    """What of the runs is shown: those with one outcome, or all, a page at a time."""

    status: ItemStatus | None = None
    page: int = 1

    @property
    def args(self) -> dict[str, Any]:
        """What the address of page or fragment says to show this."""
        return {
            "outcome": self.status.value if self.status else None,
            "page": self.page if self.page > 1 else None,
        }

    def address(self, bulk_id: int) -> str:
        """The page that shows this."""
        return url_for("bulk_retries.show", bulk_retry_id=bulk_id, **self.args)


@dataclass(frozen=True, slots=True)
class JobView:
    """A bulk retry for the page and its fragment, of whose runs `view` is shown."""

    progress: Progress
    items: Sequence[ItemRow]
    tabs: Sequence[dict[str, object]]
    links: PageLinks
    poll: Poll
    view: View
    stop: Allowed
    announcement: str
    no_sweeper: bool
    again: str


def read_view(request: Request) -> View:
    """The outcome and page in the address; all and the first for what is none."""
    outcome, page = request.args.get("outcome", ""), request.args.get("page", "")
    number = small_number(page)
    return View(ItemStatus(outcome) if outcome in list(ItemStatus) else None, number or 1)


def live_of(session: Session, bulk_id: int, actor: Actor, view: View) -> JobView:
    """The job as it is now; raises NotFound without one."""
    progress = bulk_progress(session, bulk_id)
    if progress is None:
        raise NotFound(f"There is no bulk retry {bulk_id}, or you may not see it.")
    bulk, at = progress.bulk, clock_now()
    rows = bulk_items(
        session, bulk_id, status=view.status, limit=PAGE_SIZE + 1, offset=(view.page - 1) * PAGE_SIZE
    )
    return JobView(
        progress=progress,
        items=rows[:PAGE_SIZE],
        tabs=_tabs(progress, view),
        links=_links(bulk_id, view, more=len(rows) > PAGE_SIZE),
        poll=job_poll(watched_as(bulk), at),
        view=view,
        stop=_may_stop(progress, actor),
        announcement=f"{progress.status.label}. {progress.summary}.",
        no_sweeper=_no_sweeper(session, progress, at),
        again=_again(bulk.scope) if may(actor, _PERMISSION) and not progress.status.is_live else "",
    )


def job_poll(bulk: Watched, now: datetime) -> Poll:
    """How the page of a job asks; of one that does not go on it says, by the minute, what holds it up."""
    age = now - bulk.changed_at
    if not BulkStatus(bulk.status).is_live:
        return bulk.poll(0)
    return bulk.poll(2 if age < timedelta(minutes=1) else 5, minute=age)


def note_words(row: ItemRow) -> str:
    """What there is to say of a run's outcome beside its chip."""
    item = row.item
    if item.status == ItemStatus.SKIPPED and item.skip_reason is not None:
        return " ".join(part for part in (f"{SkipReason(item.skip_reason).label}.", item.note) if part)
    if row.is_parked and item.status == ItemStatus.STARTED:
        return "Waits for its connection, which is parked. The run’s page says since when, and what to do."
    if row.failure:
        return f"{row.failure}."
    return item.note


def _tabs(progress: Progress, view: View) -> list[dict[str, object]]:
    """All runs, and each outcome that there is."""
    bulk_id = progress.bulk.id
    shown = [one for one in ItemStatus if progress.counts.get(one) or one is view.status]
    counts = {one: progress.counts.get(one, 0) for one in shown}
    choices = [(None, "All", progress.bulk.total), *((one, one.label, counts[one]) for one in shown)]
    return [
        {
            "label": label,
            "href": View(one).address(bulk_id),
            "current": one is view.status,
            "count": count,
        }
        for one, label, count in choices
    ]


def _links(bulk_id: int, view: View, *, more: bool) -> PageLinks:
    def page(number: int) -> str:
        return View(view.status, number).address(bulk_id)

    return PageLinks(page(view.page - 1) if view.page > 1 else "", page(view.page + 1) if more else "")


def _may_stop(progress: Progress, actor: Actor) -> Allowed:
    if progress.bulk.stopped_by is not None:
        return Allowed(False, f"{progress.bulk.stopped_by} has stopped it; what is under way finishes first.")
    if not may(actor, _PERMISSION):
        return Allowed(False, f"Needs {_PERMISSION}. Ask an administrator.")
    return Allowed(True)


def _no_sweeper(session: Session, progress: Progress, at: datetime) -> bool:
    if not progress.status.is_live:
        return False
    swept = last_sweep(session)
    return swept is None or at - swept > _SILENT


def _again(scope: str) -> str:
    """The question for the same filter once more; "" for runs that were chosen one by one."""
    path, _, query = scope.partition("?")
    return f"{url_for('bulk_retries.new')}?{query}" if path == url_for("runs.index") and query else ""
