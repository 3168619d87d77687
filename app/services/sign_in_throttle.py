"""Failed sign-ins: counted in the database, so that every process counts the same, and answered by a pause.

They are counted by what was typed and by where it came from, never by who exists: an email that nobody has
locks after as many failures as one that somebody has.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, delete, select, update
from sqlalchemy.orm import Session

from app.database import changed, upsert
from app.models import FailedSignIns

# Rows older than this say nothing any more, and are removed at the next failure.
FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many failures, counted over `within`, lock for `pause`."""

    failures: int
    within: timedelta
    pause: timedelta


PASSWORDS = Limit(10, FORGOTTEN_AFTER, timedelta(minutes=5))
# More than one person mistypes in a day behind a shared address, fewer than one program that guesses.
ADDRESSES = Limit(50, timedelta(minutes=5), timedelta(minutes=5))
# Whoever gets this far knows the password, and six digits are soon guessed.
CODES = Limit(10, FORGOTTEN_AFTER, timedelta(hours=1))


def email_key(email: str) -> str:
    """The key of an email as typed."""
    return _key("email", email.strip().lower())


def address_key(source: str) -> str:
    """The key of a network address. An IPv6 connection owns 2^64 addresses, so those count as one."""
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return _key("address", source)
    if address.version == 6:
        return _key("address", str(ipaddress.ip_network((address, 64), strict=False)))
    return _key("address", str(address))


def codes_key(user_id: int) -> str:
    """The key of a person's one-time codes."""
    return _key("codes", str(user_id))


def is_locked(session: Session, keys: Iterable[str], *, now: datetime) -> bool:
    """Whether any of the keys is paused now."""
    locked = select(FailedSignIns.key).where(
        FailedSignIns.key.in_(list(keys)), FailedSignIns.locked_until > now
    )
    return session.execute(locked.limit(1)).first() is not None


def count(session: Session, key: str, limit: Limit, *, now: datetime) -> bool:
    """Count a failure under `key`; True when it was one too many and locks. Failures at once all count."""
    session.execute(delete(FailedSignIns).where(FailedSignIns.last_at < now - FORGOTTEN_AFTER))
    fresh = upsert(session, FailedSignIns).values(key=key, failures=1, counted_from=now, last_at=now)
    is_over = FailedSignIns.counted_from <= now - limit.within
    counting = fresh.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "failures": case((is_over, 1), else_=FailedSignIns.failures + 1),
            "counted_from": case((is_over, now), else_=FailedSignIns.counted_from),
            "last_at": now,
        },
    ).returning(FailedSignIns.failures)
    if session.execute(counting).scalar_one() < limit.failures:
        return False
    changed(
        session,
        update(FailedSignIns)
        .where(FailedSignIns.key == key)
        .values(failures=0, counted_from=now, locked_until=now + limit.pause),
    )
    return True


def forget(session: Session, key: str) -> None:
    """Start from nothing under this key, and end its pause."""
    session.execute(delete(FailedSignIns).where(FailedSignIns.key == key))


def _key(kind: str, text: str) -> str:
    return hashlib.sha256(f"{kind}:{text}".encode("utf-8", "replace")).hexdigest()
