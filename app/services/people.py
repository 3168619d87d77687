"""People: who exists, which role they have, and what ends with their leaving."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, Invalid, NotAllowed
from app.models import Grant, Role, User
from app.permissions import Actor, effective_permissions
from app.schemas.people import UserIn, UserPatch
from app.services import accounts, audit, grants
from app.services.record_changes import assign, lock, refusing_duplicates

_EMAIL_TAKEN = "Somebody else has this email address."
_LAST_ADMIN = "This is the last active administrator. Make somebody else one first."


def create_user(session: Session, actor: Actor, data: UserIn, *, now: datetime) -> User:
    """Add a person.

    Raises Invalid when the email is taken, NotAllowed for a role with permissions that the actor lacks.
    """
    role = _role(session, data.role)
    _require_no_more_than_own(actor, role)
    user = User(
        email=data.email,
        first_name=data.first_name,
        last_name=data.last_name,
        username=data.username or None,
        employee_id=data.employee_id or None,
        role=role,
        is_active=data.active,
        created_at=now,
        deactivated_at=None if data.active else now,
    )
    with refusing_duplicates(session, Invalid.field("email", _EMAIL_TAKEN)):
        session.add(user)
    audit.record(session, actor, "user.create", user, now=now, changes={"role": [None, role.kind]})
    return user


def change_user(session: Session, actor: Actor, user: User, patch: UserPatch, *, now: datetime) -> User:
    """Change what was sent.

    Deactivating signs the person out everywhere, takes back the API tokens that they made, and revokes their
    grants through the normal path, so that workflows start.  Activating again gives none of that back.

    Raises Invalid when the email is taken; Conflict for the last active administrator, and for taking one's
    own role or access away; NotAllowed when the person or the new role may do more than the actor.
    """
    _require_no_more_than_own(actor, user.role)
    given = patch.given()
    role, active = given.pop("role", user.role.kind), given.pop("active", user.is_active)
    values: dict[str, Any] = {
        name: value or None if name in ("username", "employee_id") else value for name, value in given.items()
    }
    _check_rank(session, actor, user, role, active)
    with refusing_duplicates(session, Invalid.field("email", _EMAIL_TAKEN)):
        changes = assign(user, values)
    if role != user.role.kind:
        changes["role"] = [user.role.kind, role]
        user.role = _role(session, role)
        _require_no_more_than_own(actor, user.role)
    if changes:
        audit.record(session, actor, "user.change", user, now=now, changes=changes)
    if active and not user.is_active:
        user.is_active, user.deactivated_at = True, None
        audit.record(session, actor, "user.activate", user, now=now)
    elif user.is_active and not active:
        _deactivate(session, actor, user, now)
    return user


def check_change(session: Session, actor: Actor, user: User, role: str) -> None:
    """Raise what `change_user` would raise for giving this role; for saying so before anything is written."""
    _require_no_more_than_own(actor, user.role)
    _check_rank(session, actor, user, role, user.is_active)
    _require_no_more_than_own(actor, _role(session, role))


def check_new(session: Session, actor: Actor, role: str) -> None:
    """Raise what `create_user` would raise for this role."""
    _require_no_more_than_own(actor, _role(session, role))


def _check_rank(session: Session, actor: Actor, user: User, role: str, active: bool) -> None:
    is_self = actor.user_id == user.id
    if is_self and role != user.role.kind:
        raise Conflict("You cannot change your own role. Ask another administrator.")
    if is_self and not active:
        raise Conflict("You cannot deactivate yourself. Ask another administrator.")
    leaves = user.role.kind == "admin" and user.is_active and (role != "admin" or not active)
    if leaves and not _other_active_admins(session, user):
        raise Conflict(_LAST_ADMIN)


def _other_active_admins(session: Session, user: User) -> list[int]:
    """Active administrators besides this one, all locked: two who demote each other must not both pass."""
    statement = (
        select(User.id)
        .join(Role, Role.id == User.role_id)
        .where(Role.kind == "admin", User.is_active)
        .order_by(User.id)
        .with_for_update(of=User, key_share=True)
    )
    return [one for one in session.scalars(statement) if one != user.id]


def _deactivate(session: Session, actor: Actor, user: User, now: datetime) -> None:
    lock(session, User, user.id)  # a grant that is just being made is waited for, and revoked with the others
    user.is_active, user.deactivated_at = False, now
    audit.record(session, actor, "user.deactivate", user, now=now)
    accounts.close_every_way_in(session, actor, user, now=now)
    held = select(Grant).where(Grant.user_id == user.id, Grant.is_active).order_by(Grant.id)
    for grant in session.scalars(held).all():
        grants.revoke_if_held(
            session, actor, grant, now=now, cause=f"{user.name} was deactivated by {actor.name}"
        )


def check_role_change(session: Session, actor: Actor, role: Role, permissions: list[str]) -> None:
    """Raise Conflict for the Admin's set, which is always everything, and for that of the actor's own role.

    Raises NotAllowed when it would hold a permission that the actor lacks.
    """
    if role.kind == "admin":
        raise Conflict("Administrators always have every permission.")
    if _has_role(session, actor, role):
        raise Conflict("You cannot change your own role. Ask another administrator.")
    missing = sorted(set(permissions) - set(role.permissions) - actor.permissions)
    if missing:
        raise NotAllowed(f"You cannot give {missing[0]}, which you do not have yourself.", missing[0])


def change_role(session: Session, actor: Actor, role: Role, permissions: list[str], *, now: datetime) -> Role:
    """Replace a role's permission set, for everybody who has it, from their next action on.

    Raises what `check_role_change` raises.
    """
    check_role_change(session, actor, role, permissions)
    changes = assign(role, {"permissions": sorted(permissions)})
    if changes:
        audit.record(session, actor, "role.change", role, now=now, changes=changes)
    return role


def _has_role(session: Session, actor: Actor, role: Role) -> bool:
    if actor.user_id is None:
        return False
    return session.scalar(select(User.role_id).where(User.id == actor.user_id)) == role.id


def _role(session: Session, kind: str) -> Role:
    return session.scalars(select(Role).where(Role.kind == kind)).one()


def _require_no_more_than_own(actor: Actor, role: Role) -> None:
    """Nobody may make, or take over, an account that may do more than they may themselves."""
    missing = sorted(effective_permissions(role.kind, role.permissions) - actor.permissions)
    if missing:
        raise NotAllowed(
            f"The role {role.name} holds {missing[0]}, which you do not have yourself.", missing[0]
        )
