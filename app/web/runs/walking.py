"""Through a list from one of its runs: the address of a run's page keeps the list's filters in `from`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import request, url_for
from sqlalchemy.orm import Session

from app.queries.runs import neighbours
from app.web.runs.listing import Listing, listing_from


@dataclass(frozen=True, slots=True)
class Walk:
    """The list that the reader came from, and the pages of the runs above and below this one; "" for none."""

    list_href: str
    previous: str
    next: str


def walk_from(session: Session, run_id: int) -> Walk | None:
    """The way on through the list that the address names; None when it names none that can be read."""
    query = request.args.get("from")
    if query is None:
        return None
    listing = listing_from(query)
    if listing.filters is None:
        return None
    above, below = neighbours(session, listing.filters, run_id)
    return Walk(listing.url, _page(above, listing), _page(below, listing))


def _page(run_id: int | None, listing: Listing) -> str:
    values: dict[str, Any] = {"run_id": run_id, "from": listing.query}
    return url_for("runs.show", **values) if run_id is not None else ""
