"""One-time codes at sign-in (TOTP, RFC 6238) beside a password, and recovery codes for when the app is gone."""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

import pyotp
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from app.crypto import KeyLost, KeyRing, Secret
from app.database import changed_one
from app.errors import Conflict, Invalid
from app.models import Authenticator, RecoveryCode, User
from app.permissions import Actor
from app.services import accounts, audit, sign_in_throttle
from app.services.accounts import hashed
from app.services.record_changes import refusing_duplicates

ISSUER = "Access Automation"
RECOVERY_CODES = 10
WRONG = "This code is not right, or was used already. A new one comes every 30 seconds."
LOCKED = "Too many wrong codes. Wait an hour, or ask an administrator to reset it."
LOST = "The key of these codes cannot be read. Use a recovery code, or ask an administrator to reset it."

# 80 bits: a hash of such a code cannot be searched, so a plain one will do.
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_LENGTH = 16
_DIGITS = re.compile(r"[0-9]{6}")
# The clocks of phones are seldom right to the second.
_STEPS_ASIDE = (0, -1, 1)


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether somebody signs in with codes, since when, and how many recovery codes they have left."""

    since: datetime | None
    recovery_left: int = 0


@dataclass(frozen=True, slots=True)
class CodeCheck:
    """What a typed code came to: how it was right (`code`, `recovery code`), or the message for the page."""

    how: str = ""
    message: str = ""


def standing(session: Session, user_id: int) -> Standing:
    """How it stands with the person's codes."""
    since = session.scalar(select(Authenticator.confirmed_at).where(Authenticator.user_id == user_id))
    left = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return Standing(since, session.scalar(left) or 0) if since is not None else Standing(None)


def begin(session: Session, user: User, keyring: KeyRing, *, now: datetime) -> None:
    """Make a new key for the person's app; it counts from the first right code on.

    Raises Conflict when codes are on already, or there is no password for them to stand beside.
    """
    if user.password_hash is None:
        raise Conflict("One-time codes stand beside a password, and you have none here.")
    found = _authenticator(session, user.id)
    if found is not None and found.confirmed_at is not None:
        raise Conflict("One-time codes are on already. Turn them off first.")
    sealed = keyring.seal(pyotp.random_base32(), _bound_to(user.id))
    if found is not None:
        found.sealed, found.key_id, found.created_at = sealed.token, sealed.key_id, now
        return
    made = Authenticator(
        user_id=user.id, sealed=sealed.token, key_id=sealed.key_id, created_at=now, last_step=0
    )
    with refusing_duplicates(session, Conflict("You were doing this twice at the same moment.")):
        session.add(made)


def unconfirmed_key(session: Session, user_id: int, keyring: KeyRing) -> Secret | None:
    """The key that waits for its first code; never one that counts already."""
    found = session.scalars(
        select(Authenticator).where(Authenticator.user_id == user_id, Authenticator.confirmed_at.is_(None))
    ).one_or_none()
    return _opened(found, keyring) if found is not None else None


def address_of(key: Secret, email: str) -> str:
    """The key as the app reads it from a picture."""
    return pyotp.TOTP(key.reveal()).provisioning_uri(name=email, issuer_name=ISSUER)


def confirm(
    session: Session, actor: Actor, user: User, typed: str, keyring: KeyRing, *, now: datetime
) -> list[str]:
    """Turn codes on by the first right one; every other session of the person ends. Gives the recovery codes.

    Raises Invalid, naming `code`, for a wrong one; Conflict when no key waits.
    """
    found = _authenticator(session, user.id)
    if found is None or found.confirmed_at is not None:
        raise Conflict("There is no key that waits for its first code. Start again.")
    key = _opened(found, keyring)
    step = _step_of(key, typed, now) if key is not None else None
    if step is None:
        raise Invalid.field("code", "This code is not right. Type the one that the app shows now.")
    found.confirmed_at, found.last_step = now, step
    user.session_epoch += 1
    audit.record(session, actor, "user.codes_on", user, now=now)
    return _fresh_recovery_codes(session, user)


def check(session: Session, user: User, typed: str, keyring: KeyRing, *, now: datetime) -> CodeCheck:
    """Whether the person may go on with this code: one from the app, or a recovery code; each counts once.

    Ten wrong ones in a row lock for an hour. Returns instead of raising, so that the count is committed.
    """
    found = _authenticator(session, user.id)  # locked: guesses made at once come one after the other
    key = sign_in_throttle.codes_key(user.id)
    if sign_in_throttle.is_locked(session, [key], now=now):
        return CodeCheck(message=LOCKED)
    message = WRONG
    if found is not None and found.confirmed_at is not None:
        plain = _plain(typed)
        if not _DIGITS.fullmatch(plain):
            if _use_recovery_code(session, user.id, plain, now):
                sign_in_throttle.forget(session, key)
                return CodeCheck(how="recovery code")
        elif (secret := _opened(found, keyring)) is None:
            return CodeCheck(message=LOST)
        elif (step := _step_of(secret, plain, now)) is not None and _take_step(session, user.id, step):
            sign_in_throttle.forget(session, key)
            return CodeCheck(how="code")
    return CodeCheck(
        message=LOCKED if sign_in_throttle.count(session, key, sign_in_throttle.CODES, now=now) else message
    )


def renew_recovery_codes(session: Session, actor: Actor, user: User, *, now: datetime) -> list[str]:
    """New recovery codes in place of the old; the caller has asked for a code. Raises Conflict without any."""
    _require_on(session, user)
    audit.record(session, actor, "user.recovery_codes", user, now=now)
    return _fresh_recovery_codes(session, user)


def turn_off(session: Session, actor: Actor, user: User, *, now: datetime) -> None:
    """For oneself; the caller has asked for password and code. Raises Conflict when codes are off."""
    _require_on(session, user)
    _remove(session, user.id)
    audit.record(session, actor, "user.codes_off", user, now=now)


def reset(session: Session, actor: Actor, user: User, *, now: datetime) -> None:
    """For somebody whose app and recovery codes are gone: their password alone lets in again. Sessions end.

    Raises Conflict when codes are off, NotAllowed for somebody who may do more than the actor.
    """
    accounts.require_rank(actor, user)
    _require_on(session, user)
    _remove(session, user.id)
    user.session_epoch += 1
    audit.record(session, actor, "user.codes_reset", user, now=now)


def rotate(session: Session, keyring: KeyRing) -> tuple[int, int]:
    """Seal anew the keys that an older key sealed: how many were, and how many no key opens."""
    sealed = lost = 0
    old = (
        select(Authenticator)
        .where(Authenticator.key_id != keyring.newest_key_id)
        .with_for_update(key_share=True)
    )
    for row in session.scalars(old).all():
        try:
            fresh = keyring.rotate(row.sealed)
        except KeyLost:
            lost += 1
            continue
        row.sealed, row.key_id = fresh.token, fresh.key_id
        sealed += 1
    return sealed, lost


def _authenticator(session: Session, user_id: int) -> Authenticator | None:
    statement = select(Authenticator).where(Authenticator.user_id == user_id).with_for_update(key_share=True)
    return session.scalars(statement.execution_options(populate_existing=True)).one_or_none()


def _require_on(session: Session, user: User) -> None:
    found = _authenticator(session, user.id)
    if found is None or found.confirmed_at is None:
        raise Conflict(f"{user.name} has no one-time codes.")


def _remove(session: Session, user_id: int) -> None:
    session.execute(delete(Authenticator).where(Authenticator.user_id == user_id))
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    sign_in_throttle.forget(session, sign_in_throttle.codes_key(user_id))


def _opened(found: Authenticator, keyring: KeyRing) -> Secret | None:
    try:
        return keyring.open(found.sealed, _bound_to(found.user_id))
    except KeyLost:
        return None


def _bound_to(user_id: int) -> str:
    return f"authenticator {user_id}"


def _plain(typed: str) -> str:
    """As it was made: people copy codes with blanks, dashes and capitals."""
    return re.sub(r"[\s-]", "", typed[:100]).lower()


def _step_of(key: Secret, typed: str, now: datetime) -> int | None:
    """The time step that the code belongs to, now or close to it."""
    plain = _plain(typed)
    if not _DIGITS.fullmatch(plain):
        return None
    app = pyotp.TOTP(key.reveal())
    here = app.timecode(now)
    near = (here + aside for aside in _STEPS_ASIDE)
    return next((step for step in near if hmac.compare_digest(app.generate_otp(step), plain)), None)


def _take_step(session: Session, user_id: int, step: int) -> bool:
    """Accept this time step, unless it or a later one was accepted before."""
    return changed_one(
        session,
        update(Authenticator)
        .where(Authenticator.user_id == user_id, Authenticator.last_step < step)
        .values(last_step=step),
    )


def _use_recovery_code(session: Session, user_id: int, plain: str, now: datetime) -> bool:
    return changed_one(
        session,
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.code_hash == hashed(plain),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now),
    )


def _fresh_recovery_codes(session: Session, user: User) -> list[str]:
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(_LENGTH)) for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(user_id=user.id, code_hash=hashed(code)) for code in codes)
    return ["-".join(code[at : at + 4] for at in range(0, _LENGTH, 4)) for code in codes]
