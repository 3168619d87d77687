"""A remedy in the API's shape: what a failure means and where it is mended."""

from __future__ import annotations

from app.domain.remedies.failure import Remedy
from app.domain.remedies.links import Where, places
from app.schemas.answers import (
    PlaceOut,
    RemedyOut,
)


def remedy_out(remedy: Remedy | None, where: Where) -> RemedyOut | None:
    """`where`: what the failure is about, which the addresses of its actions are made of."""
    if remedy is None:
        return None
    return RemedyOut(
        title=remedy.title,
        why=remedy.why,
        todo=remedy.todo,
        action=remedy.action,
        label=remedy.label,
        actions=[
            PlaceOut(action=one.action, label=one.label, href=one.href, permission=one.permission)
            for one in places(remedy, where)
        ],
    )
