"""A grant's chip as pages show it: the words of `state_of`, and where a reader may go from it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import url_for

from app.models import Grant
from app.queries.grants import state_of
from app.web.login_session import viewer_may

# What a list of grants shows by the word in its address: whether they are active, None for all.
SHOWN: dict[str, bool | None] = {"active": True, "revoked": False, "all": None}


@dataclass(frozen=True, slots=True)
class ChipView:
    """What the `state_chip` component draws. `why` says why there is no automation, "" otherwise."""

    tone: str
    label: str
    href: str
    why: str


def chip_view(grant: Grant) -> ChipView:
    """The chip of `grant`: it leads to the run, or without one, or without the right to see runs, to why."""
    state = state_of(grant)
    page = url_for("grants.show", grant_id=grant.id)
    to_run = state.run_id is not None and viewer_may("workflow:read")
    href = f"/runs/{state.run_id}" if to_run else f"{page}#decisions"
    return ChipView(state.tone, state.label, href, state.reason or "")
