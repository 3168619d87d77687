"""Roles: the permission matrix, what a change to it means, and saving what was confirmed."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.clock import now
from app.errors import Conflict, FieldError, Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Role, User
from app.permissions import ADMIN_LEVEL, AREAS, PERMISSIONS, Actor, effective_permissions
from app.queries import people as people_queries
from app.schemas.base import parse
from app.schemas.people import RoleIn
from app.services import people
from app.services.transaction import transaction
from app.web.htmx import see_other


@dataclass(frozen=True, slots=True)
class Column:
    """A role. `locked` is why nobody, or not this reader, may change it; empty when they may."""

    id: int
    kind: str
    name: str
    people: int
    held: frozenset[str]
    locked: str


@dataclass(frozen=True, slots=True)
class Row:
    """A permission in words."""

    name: str
    words: str
    admin_level: bool
    lacked: bool


@dataclass(frozen=True, slots=True)
class RoleChange:
    """What one role gains and loses."""

    role: Role
    people: int
    gains: list[Row]
    loses: list[Row]

    @property
    def delegates(self) -> list[Row]:
        """The gains that let people reach further than they say."""
        return [row for row in self.gains if row.admin_level]


def column(role: Role, *, own_role: str, people: int) -> Column:
    """The role as the reader meets it; `own_role` is the kind of theirs, `people` its active holders."""
    locked = ""
    if role.kind == "admin":
        locked = (
            "Administrators always have every permission, so that nobody can be locked out of everything."
        )
    elif role.kind == own_role:
        locked = "This is your own role. Another administrator can change it."
    held = effective_permissions(role.kind, role.permissions)
    return Column(role.id, role.kind, role.name, people, held, locked)


def areas(actor: Actor) -> list[tuple[str, list[Row]]]:
    """Every permission, by area."""
    return [(title, [row(name, actor) for name in names]) for title, names in AREAS]


def row(name: str, actor: Actor) -> Row:
    """One permission as this reader meets it."""
    return Row(name, PERMISSIONS[name], name in ADMIN_LEVEL, name not in actor.permissions)


def change_of(role: Role, wanted: list[str], actor: Actor, *, people: int) -> RoleChange | None:
    """The difference between what the role holds and what it is to hold; None when there is none."""
    held = effective_permissions(role.kind, role.permissions)
    ordered = [name for _title, names in AREAS for name in names]
    gains = [row(name, actor) for name in ordered if name in wanted and name not in held]
    loses = [row(name, actor) for name in ordered if name in held and name not in wanted]
    return RoleChange(role, people, gains, loses) if gains or loses else None


bp = Blueprint("roles", __name__, url_prefix="/roles")


@dataclass(frozen=True, slots=True)
class RoleForm:
    """What a role is to hold, and what it held when the form was shown."""

    role: Role
    permissions: list[str]
    before: list[str]


@bp.get("")
@requires("user:manage")
def index() -> ResponseReturnValue:
    """The matrix as it is, or with the choices that the address names, on the way back from the question."""
    chosen = {
        one.kind: frozenset(request.args.getlist(one.kind)) for one in _columns() if one.kind in request.args
    }
    return _matrix(chosen, [])


@bp.post("/check")
@requires("user:manage")
def check() -> ResponseReturnValue:
    """The changes in words, with the button that saves them."""
    try:
        wanted = _wanted(db.session())
        changes = _changes(db.session(), wanted)
    except Invalid as refused:
        chosen = {one.kind: frozenset(request.form.getlist(one.kind)) for one in _columns()}
        return _matrix(chosen, refused.errors), 422
    if not changes:
        flash("Nothing was changed: the roles are as they were.", "info")
        return see_other(url_for("roles.index"))
    return render_template(
        "roles/confirm.html",
        changes=changes,
        wanted=wanted,
        back=f"{url_for('roles.index')}?{urlencode(_ticked(wanted))}",
    )


@bp.post("")
@requires("user:manage")
def save() -> ResponseReturnValue:
    """Save what was confirmed, unless a role is no longer as it was then."""
    with transaction() as session:
        wanted = _wanted(session)
        for changed in wanted:
            session.refresh(changed.role, with_for_update={"key_share": True})
            if sorted(effective_permissions(changed.role.kind, changed.role.permissions)) != changed.before:
                raise Conflict(
                    f"Somebody else has changed the role {changed.role.name} meanwhile. "
                    "Open Roles again to see it as it is now."
                )
            people.change_role(session, current_actor(), changed.role, changed.permissions, now=now())
    flash("Saved. It takes effect on each person’s next action.", "ok")
    return see_other(url_for("roles.index"))


def _matrix(chosen: dict[str, frozenset[str]], errors: list[FieldError]) -> str:
    return render_template(
        "roles/index.html",
        columns=_columns(),
        areas=areas(current_actor()),
        chosen=chosen,
        errors=errors,
        refused=bool(errors),
    )


def _ticked(wanted: list[RoleForm]) -> list[tuple[str, str]]:
    """What is chosen, for an address; a role without permissions is named all the same."""
    return [(one.role.kind, name) for one in wanted for name in one.permissions or [""]]


def _columns() -> list[Column]:
    session = db.session()
    counts = people_queries.active_people(session)
    mine = _own_role(session)
    return [
        column(role, own_role=mine, people=counts.get(role.id, 0)) for role in people_queries.roles(session)
    ]


def _own_role(session: Session) -> str:
    user = session.get(User, current_actor().user_id)
    return user.role.kind if user is not None else ""


def _wanted(session: Session) -> list[RoleForm]:
    """The roles whose column was in the form, `edited` naming them: an empty column is no missing one."""
    by_kind = {role.kind: role for role in people_queries.roles(session)}
    found = []
    for kind in dict.fromkeys(request.form.getlist("edited")):
        role = by_kind.get(kind)
        if role is None:
            raise Invalid.field("", "There is no such role.")
        ticked = [name for name in request.form.getlist(kind) if name]
        permissions = parse(RoleIn, {"permissions": ticked}).permissions
        before = sorted(name for name in request.form.getlist(f"before_{kind}") if name)
        found.append(RoleForm(role, permissions, before))
    return found


def _changes(session: Session, wanted: list[RoleForm]) -> list[RoleChange]:
    actor, counts = current_actor(), people_queries.active_people(session)
    found = []
    for form in wanted:
        change = change_of(form.role, form.permissions, actor, people=counts.get(form.role.id, 0))
        if change is None:
            continue
        people.check_role_change(session, actor, form.role, form.permissions)
        found.append(change)
    return found
