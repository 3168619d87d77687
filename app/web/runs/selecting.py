"""Retrying several failed runs of the list at once: what is offered above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import url_for
from sqlalchemy.orm import Session

from app.domain.states import RunStatus
from app.models.bulk_retry import MAX_RUNS
from app.permissions import Actor, may
from app.queries.bulk_retries import failed_matches
from app.queries.runs import RunRow
from app.web.runs.listing import Listing


@dataclass(frozen=True, slots=True)
class Offer:
    """Failed runs can be ticked. `href` and `words` retry all that match the filters; "" where there is no filter."""

    href: str = ""
    words: str = ""


def offer_of(session: Session, listing: Listing, rows: Sequence[RunRow], actor: Actor) -> Offer | None:
    """What is offered above these rows, in at most two statements; None when there is nothing to retry."""
    if not may(actor, "workflow:run") or not any(row.run.status == RunStatus.FAILED for row in rows):
        return None
    if not listing.kept or listing.filters is None:
        return Offer()
    count = failed_matches(session, listing.filters)
    many = f"the oldest {MAX_RUNS}" if count > MAX_RUNS else f"all {count}"
    noun = "failed run that matches" if count == 1 else "failed runs that match"
    return Offer(f"{url_for('bulk_retries.new')}?{urlencode(list(listing.kept))}", f"Retry {many} {noun}…")
