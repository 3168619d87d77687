"""The buttons beside a failure, and what they ask of the reader."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.remedies.failure import Action, Remedy
from app.domain.remedies.links import Place, Where, places
from app.models import Run
from app.permissions import Actor, may
from app.queries.system import may_see_system
from app.queries.timeline import Entry

SYSTEM_HEALTH = "/system"


@dataclass(frozen=True, slots=True)
class Button:
    """One button of a remedy. `reason` is why the reader may not press it, "" when they may.

    `is_retry` marks the one that is sent and not followed.
    """

    label: str
    href: str
    reason: str = ""
    is_retry: bool = False


def buttons_for(entry: Entry, run: Run, actor: Actor) -> list[Button]:
    """The buttons beside the remedy of `entry`, the one that mends it first."""
    return remedy_buttons(entry.remedy, entry.where(run), actor)


def remedy_buttons(remedy: Remedy | None, where: Where, actor: Actor) -> list[Button]:
    """The buttons of a remedy for what is at `where`; none without a remedy."""
    return [
        Button(one.label, one.href, _lacking(one, actor), is_retry=one.action is Action.RETRY)
        for one in (places(remedy, where) if remedy is not None else ())
    ]


def task_page(task_id: int) -> str:
    """The page of a task for a person."""
    return f"/tasks/{task_id}"


def _lacking(place: Place, actor: Actor) -> str:
    if place.action is Action.SYSTEM_HEALTH and may_see_system(actor):
        return ""
    return "" if may(actor, place.permission) else f"Needs {place.permission}. Ask an administrator."
