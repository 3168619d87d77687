"""The grants that a workflow can be tried for, as a page offers them."""

from __future__ import annotations

from app.extensions import db
from app.models import Grant, Workflow
from app.queries.access import grants_page
from app.schemas.kinds import record_id

OFFERED = 50


def chosen_grant(workflow: Workflow, asked: str) -> Grant | None:
    """The grant `asked` for, else the newest active one; None without any, or for one that does not exist."""
    if asked:
        number = record_id(asked)
        return db.session.get(Grant, number) if number is not None else None
    newest = grants_page(db.session(), size=1, application_id=workflow.application_id, shown="active")
    return newest[0] if newest else None


def offered_grants(workflow: Workflow, chosen: Grant | None) -> list[tuple[int, str]]:
    """The newest active grants as choices, and the one that is looked at wherever it stands."""
    rows = list(
        grants_page(db.session(), size=OFFERED, application_id=workflow.application_id, shown="active")
    )[:OFFERED]
    offered = [(one.id, _words(one, one.user.name)) for one in rows]
    if chosen is not None and chosen.id not in [number for number, _ in offered]:
        offered.append((chosen.id, f"Grant {chosen.id}"))
    return offered


def _words(grant: Grant, name: str) -> str:
    level = f", {grant.access_level}" if grant.access_level else ""
    return f"{name}{level} (grant {grant.id})"
