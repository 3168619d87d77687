"""Whom a provider's word lets in, and as what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.domain.json_reader import unstorable
from app.errors import Conflict
from app.models import SingleSignOn, User
from app.permissions import ALL_PERMISSIONS, Actor
from app.schemas.kinds import MAX_EMAIL
from app.schemas.people import UserPatch
from app.services import accounts, audit, people
from app.services.record_changes import refusing_duplicates

# What a mapping gives when several groups are named: the highest.
_RANK = ("viewer", "member", "admin")


@dataclass(frozen=True, slots=True)
class SignOnRules:
    """The settings: whose word it is, whether its silence about an email is trusted, which group is which role."""

    issuer: str
    trust_email: bool = False
    groups_claim: str = "groups"
    group_roles: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CameIn:
    """The person, or why nobody was let in: what happened, why, and what to do."""

    user: User | None
    what: str = ""
    why: str = ""
    todo: str = ""


def settle(
    session: Session, claims: Mapping[str, Any], rules: SignOnRules, *, now: datetime, source: str
) -> CameIn:
    """Find the person that verified `claims` mean, give them the role of their groups, and let them in.

    Known by the provider's subject; at the first time by an email that the provider has verified, and from then
    on by the subject alone. Nobody is added: who may come in is decided in the console.
    """
    link = session.scalars(
        select(SingleSignOn).where(SingleSignOn.issuer == rules.issuer, SingleSignOn.subject == claims["sub"])
    ).one_or_none()
    user = session.get(User, link.user_id) if link is not None else None
    email = ""
    if user is None:
        email = _verified_email(claims, rules)
        if not email:
            return _unverified(claims)
        user = session.scalars(select(User).where(func.lower(User.email) == func.lower(email))).one_or_none()
    if user is None:
        return _unknown(email)
    if not user.is_active:
        return _deactivated(user)
    if link is None:
        if _is_linked(session, user, rules.issuer):
            return _somebody_elses(user)
        link = SingleSignOn(
            user_id=user.id, issuer=rules.issuer, subject=claims["sub"], linked_at=now, last_used_at=now
        )
        with refusing_duplicates(session, Conflict("You were signing in twice at the same moment.")):
            session.add(link)
        audit.record(session, _speaker(source), "user.sso_link", user, now=now)
    link.last_used_at = now
    _give_role(session, user, role_of(claims, rules), now=now, source=source)
    accounts.let_in(session, user, now=now, source=source, how="sso")
    return CameIn(user)


def is_linked(session: Session, user: User) -> bool:
    """Whether a provider has let this person in before."""
    found = select(SingleSignOn.id).where(SingleSignOn.user_id == user.id).limit(1)
    return session.scalars(found).first() is not None


def unlink(session: Session, actor: Actor, user: User, *, now: datetime) -> None:
    """Forget whom a provider means; the next sign-in is by verified email again. Sessions end.

    Raises Conflict when there is nothing to forget, NotAllowed for somebody who may do more than the actor.
    """
    accounts.require_rank(actor, user)
    found = session.execute(
        delete(SingleSignOn).where(SingleSignOn.user_id == user.id).returning(SingleSignOn.id)
    )
    if not found.all():
        raise Conflict(f"{user.name} is not linked to single sign-on.")
    user.session_epoch += 1
    audit.record(session, actor, "user.sso_unlink", user, now=now)


def role_of(claims: Mapping[str, Any], rules: SignOnRules) -> str | None:
    """The highest role that the person's groups give; a viewer's without any; None where nothing is mapped."""
    if not rules.group_roles:
        return None
    said = claims.get(rules.groups_claim)
    listed = said if isinstance(said, list) else [said]
    groups = {one for one in listed if isinstance(one, str)}
    given = [role for group, role in rules.group_roles if group in groups]
    return max(given, key=_RANK.index, default="viewer")


def _give_role(session: Session, user: User, role: str | None, *, now: datetime, source: str) -> None:
    if role is None or role == user.role.kind:
        return
    patch = UserPatch.model_validate({"role": role})
    try:
        people.change_user(session, _speaker(source), user, patch, now=now)
    except Conflict:
        # The last active administrator stays one: without any, nobody could mend the mapping.
        return


def _speaker(source: str) -> Actor:
    return Actor("system", "Single sign-on", ALL_PERMISSIONS, source=source)


def _verified_email(claims: Mapping[str, Any], rules: SignOnRules) -> str:
    """The email that the provider stands for; "" without one."""
    email, verified = claims.get("email"), claims.get("email_verified")
    # Some providers send the word instead of the value.
    stands_for_it = verified is True or verified == "true" or (verified is None and rules.trust_email)
    if not stands_for_it or not isinstance(email, str) or unstorable(email) or len(email) > MAX_EMAIL:
        return ""
    return email.strip()


def _is_linked(session: Session, user: User, issuer: str) -> bool:
    found = select(SingleSignOn.id).where(SingleSignOn.user_id == user.id, SingleSignOn.issuer == issuer)
    return session.scalars(found).first() is not None


def _unknown(email: str) -> CameIn:
    return CameIn(
        None,
        f"Nobody here has the email {email}.",
        "Single sign-on lets in people whom an administrator of this console has added. It adds nobody.",
        "Ask an administrator to add you with exactly this email, then sign in again.",
    )


def _deactivated(user: User) -> CameIn:
    return CameIn(
        None,
        f"The account of {user.email} is deactivated here.",
        "An administrator ended it, and signing in elsewhere does not change that.",
        "Ask an administrator to reactivate it.",
    )


def _unverified(claims: Mapping[str, Any]) -> CameIn:
    if claims.get("email_verified") in (False, "false"):
        why = "The provider says that your email is not verified, so it may be somebody else’s."
        return CameIn(None, "Your email is not verified.", why, "Verify it there, then sign in again.")
    return CameIn(
        None,
        "The provider does not say that your email is verified.",
        "At the first sign-in a person is found by a verified email, and the answer holds none.",
        "Ask whoever runs this console to let the provider send email and email_verified, or to look at "
        "OIDC_TRUST_EMAIL.",
    )


def _somebody_elses(user: User) -> CameIn:
    return CameIn(
        None,
        f"The email {user.email} belongs here to another account of the provider.",
        "An email that is given to somebody new must not open what its former owner had.",
        "If it is you all the same, ask an administrator to unlink single sign-on on your page under People.",
    )
