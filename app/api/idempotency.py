"""`Idempotency-Key`: the same POST sent twice acts once, and both get the first answer."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import current_app, request
from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from app.api.problems import KeyReused, Malformed
from app.database import changed, upsert
from app.models import IdempotencyKey

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
SWEPT_AT_ONCE = 50
_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call is answered with. `replayed`: it was given before, and nothing was done this time."""

    status: int
    body: str
    replayed: bool = False


def sent_key() -> str | None:
    """The request's key, None without one; raises Malformed when it is not 1 to 255 ASCII characters."""
    key = request.headers.get(HEADER)
    if key is None or request.method != "POST":
        return None
    if not _KEY.fullmatch(key):
        raise Malformed("An Idempotency-Key has 1 to 255 visible ASCII characters.")
    return key


def fingerprint(body: object) -> str:
    """What makes two requests the same: method, path, and the body whatever its spacing and order.

    Keyed with the console's secret: a body may hold values that are to leave no trace, and a plain hash of a
    short one could be searched.
    """
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    text = f"{request.method}\n{request.path}\n{canonical}"
    secret = str(current_app.secret_key).encode()
    return hmac.digest(secret, text.encode(), "sha256").hex()


def once(
    session: Session, token_id: int, key: str, print_: str, act: Callable[[], Answer], *, now: datetime
) -> Answer:
    """Give the stored answer, or `act` and store its own, in the caller's transaction.

    The key is taken before acting: of two at once the later waits here for the earlier's commit (on SQLite
    already for its turn to write), then finds the answer.  When the earlier fails, its key goes with its
    transaction and the later acts.  Raises KeyReused when the key came with another request.
    """
    _forget_old(session, token_id, key, now)
    row = {
        "token_id": token_id,
        "key": key,
        "fingerprint": print_,
        "status": 0,
        "body": "",
        "created_at": now,
    }
    taking = upsert(session, IdempotencyKey).values(row).on_conflict_do_nothing()
    taken = session.scalar(taking.returning(IdempotencyKey.id))
    if taken is None and (stored := given_before(session, token_id, key, print_, now=now)) is not None:
        return stored
    answer = act()
    kept = update(IdempotencyKey).where(_mine(token_id, key))
    changed(session, kept.values(status=answer.status, body=answer.body))
    return answer


def given_before(session: Session, token_id: int, key: str, print_: str, *, now: datetime) -> Answer | None:
    """The answer that this key's first request got, None for a new key; raises KeyReused for another request."""
    columns = (IdempotencyKey.fingerprint, IdempotencyKey.status, IdempotencyKey.body)
    counts = _mine(token_id, key) & (IdempotencyKey.created_at >= now - KEPT)
    stored = session.execute(select(*columns).where(counts)).one_or_none()
    if stored is None:
        return None
    if stored.fingerprint != print_:
        raise KeyReused("This Idempotency-Key came before with another request. Make a new key for this one.")
    return Answer(stored.status, stored.body, replayed=True)


def _mine(token_id: int, key: str) -> ColumnElement[bool]:
    return (IdempotencyKey.token_id == token_id) & (IdempotencyKey.key == key)


def _forget_old(session: Session, token_id: int, key: str, now: datetime) -> None:
    """Delete this key when it is too old to count, and a few others that are."""
    old = IdempotencyKey.created_at < now - KEPT
    some = (
        select(IdempotencyKey.id)
        .where(old)
        .order_by(IdempotencyKey.created_at)
        .limit(SWEPT_AT_ONCE)
        .with_for_update(skip_locked=True, key_share=True)
    )
    for which in (old & _mine(token_id, key), IdempotencyKey.id.in_(some)):
        changed(session, delete(IdempotencyKey).where(which))
