"""Copying a person's access to somebody else: choose, see what it would start, confirm, and what came of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.clock import now
from app.domain.states import Trigger
from app.errors import AppError, Conflict, Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application, Grant, User
from app.queries.grants import GrantFilters, grant_list
from app.queries.lookup import load
from app.queries.people import PersonFilters, people_list
from app.queries.situation import situation
from app.schemas.kinds import record_id
from app.services import grants
from app.services.transaction import transaction
from app.web.grants.consequences import consequence_of, stored_words
from app.web.grants.forms import mark_of, shown_at
from app.web.people.blueprint import bp
from app.web.request_values import query, ticked

# So many at once: each is a transaction of its own within one request.
MOST = 100
_FOUND = 20


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One grant that could be copied. `held` says that the other has the same already; `barred` why it cannot."""

    grant: Grant
    what: str
    held: bool
    barred: str


@dataclass(frozen=True, slots=True)
class CopiedGrant:
    """What came of one: the grant and what it started, or why there is none."""

    application: str
    access_level: str
    grant_id: int | None
    said: str


@bp.get("/<int:user_id>/copy")
@requires("grant:write")
def copy(user_id: int) -> ResponseReturnValue:
    """Whose access is copied is in the address, to whom is chosen here; then what could be copied."""
    user, session = load(db.session(), User, user_id), db.session()
    other = _other(session, request.args.get("to", ""), user)
    text = query("q")
    found = [] if other else _candidates(session, user, text)
    return render_template(
        "people/copy.html",
        user=user,
        other=other,
        text=text,
        found=found[:_FOUND],
        more=len(found) > _FOUND,
        rows=_foreseen(session, user, other, None, record_only=False) if other else [],
        most=MOST,
        mark=mark_of(now()),
        refused="",
    )


@bp.post("/<int:user_id>/copy/check")
@requires("grant:write")
def check_copy(user_id: int) -> ResponseReturnValue:
    """Exactly what would be made and started, with the button that does it."""
    user, session = load(db.session(), User, user_id), db.session()
    other = _required(session, user)
    chosen, record_only = _chosen(), ticked("record_only")
    rows = [
        one
        for one in _foreseen(session, user, other, chosen, record_only=record_only)
        if one.grant.id in chosen and not one.barred
    ]
    if not rows:
        page = render_template(
            "people/copy.html",
            user=user,
            other=other,
            text="",
            found=[],
            more=False,
            rows=_foreseen(session, user, other, None, record_only=False),
            most=MOST,
            mark=request.form.get("shown_at", ""),
            refused="Choose at least one grant to copy.",
        )
        return page, 422
    return render_template(
        "people/copy_confirm.html",
        user=user,
        other=other,
        rows=rows,
        record_only=record_only,
        mark=request.form.get("shown_at", ""),
        back=url_for("people.copy", user_id=user_id, to=other.id),
    )


@bp.post("/<int:user_id>/copy")
@requires("grant:write")
def make_copies(user_id: int) -> ResponseReturnValue:
    """Grant each in a transaction of its own: what one comes to takes nothing from the others."""
    user, session = load(db.session(), User, user_id), db.session()
    other = _required(session, user)
    other_id, other_name, name = other.id, other.name, user.name
    made = [
        _copied(number, user_id, other_id, record_only=ticked("record_only")) for number in sorted(_chosen())
    ]
    return render_template(
        "people/copied.html", user_id=user_id, other_id=other_id, name=name, other_name=other_name, made=made
    )


def _copied(grant_id: int, user_id: int, other_id: int, *, record_only: bool) -> CopiedGrant:
    """The new grant, or the one that the same form has just made."""
    application_name, level = "", ""
    try:
        with transaction() as session:
            original = session.get(Grant, grant_id)
            if original is None or original.user_id != user_id:
                return CopiedGrant(f"Grant {grant_id}", "", None, "Not made: it is no grant of this person.")
            application = load(session, Application, original.application_id)
            application_name, level = application.name, original.access_level
            if original.revoked_at is not None:
                raise Conflict("it has been revoked meanwhile.")
            grant = _granted(session, original, application, load(session, User, other_id), record_only)
            grant_id, run_id, reason = grant.id, grant.newest_run_id, grant.state_reason
    except Invalid as refused:
        return CopiedGrant(application_name, level, None, f"Not made: {refused.errors[0].message}")
    except AppError as refused:
        return CopiedGrant(application_name, level, None, f"Not made: {refused.message}")
    said = f"Run {run_id} started." if run_id else f"Recorded. No automation ran: {stored_words(reason)}."
    return CopiedGrant(application_name, level, grant_id, said)


def _granted(
    session: Session, original: Grant, application: Application, other: User, record_only: bool
) -> Grant:
    notes = f"Copied from grant {original.id} of {original.user.name}"[:2000]
    return grants.grant(
        session,
        current_actor(),
        application=application,
        user=other,
        now=now(),
        access_level=original.access_level,
        expires_at=original.expires_at,
        notes=notes,
        record_only=record_only,
        form_shown_at=shown_at(),
    )


def _foreseen(
    session: Session, user: User, other: User, chosen: set[int] | None, *, record_only: bool
) -> list[Foreseen]:
    """The person's active grants, oldest first, and what copying `chosen` (None: all that may be) would start."""
    found: list[Foreseen] = []
    granted: dict[int, int] = {}
    held = {(one.application_id, one.access_level) for one in _active(session, other.id)}
    for grant in _active(session, user.id):
        application = grant.application
        barred = f"{application.name} is archived." if application.archived_at else ""
        if not barred and grant.expires_at is not None and grant.expires_at <= now():
            barred = "It has expired."
        holds = situation(
            session,
            user_id=other.id,
            application_id=application.id,
            trigger=Trigger.ACCESS_GRANTED,
            record_only=record_only,
        )
        # The copies are made in this order, and each is there when the next one is decided.
        others = holds.facts.other_active_grants + granted.get(application.id, 0)
        holds = replace(holds, facts=replace(holds.facts, other_active_grants=others))
        what = barred or consequence_of(holds, application.id).what
        same = (application.id, grant.access_level) in held
        found.append(Foreseen(grant, what, same, barred))
        if not barred and (grant.id in chosen if chosen is not None else not same):
            granted[application.id] = granted.get(application.id, 0) + 1
    return found


def _active(session: Session, user_id: int) -> list[Grant]:
    newest_first = grant_list(session, GrantFilters(user_id=user_id, is_active=True), limit=MOST)
    return sorted(newest_first, key=lambda grant: grant.id)


def _candidates(session: Session, user: User, text: str) -> list[User]:
    filters = PersonFilters(text=text, is_active=True)
    found = people_list(session, filters, by_email=True, limit=_FOUND + 2)
    return [row for row in found if row.id != user.id]


def _other(session: Session, typed: str, user: User) -> User | None:
    number = record_id(typed)
    found = session.get(User, number) if number is not None else None
    return found if found is not None and found.is_active and found.id != user.id else None


def _required(session: Session, user: User) -> User:
    other = _other(session, request.form.get("to", ""), user)
    if other is None:
        raise Conflict("Choose somebody else who is active to copy the access to.")
    return other


def _chosen() -> set[int]:
    numbers = (record_id(typed) for typed in request.form.getlist("grant")[:MOST])
    return {number for number in numbers if number is not None}
