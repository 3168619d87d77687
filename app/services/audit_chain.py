"""The chain of audit entries: what each is hashed from, adding to its end, and finding where it was broken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from app.database import PreparedUpsert
from app.models import AuditChain, AuditEvent

# What the first entry follows.
GENESIS = "0" * 64
# What an entry's hash is made from. What is stored was hashed so: this never changes.
FIELDS = (
    "at",
    "action",
    "actor_kind",
    "actor_id",
    "actor",
    "subject_type",
    "subject_id",
    "subject",
    "source",
    "reason",
    "changes",
)
_READ_AT_ONCE = 1000
_EXACT = 2**53


def _locking(statement: Any) -> Any:
    """Writing a value over itself locks the row, and makes it where there is none, in one round trip."""
    table = AuditChain.__table__
    locking = statement.on_conflict_do_update(index_elements=["id"], set_={"id": statement.excluded.id})
    return locking.returning(table.c.entries, table.c.hash)


# Every act runs these: made once, and past the session, they take half the time of statements made anew.
_lock_head = PreparedUpsert(AuditChain.__table__, _locking)
_insert_entry = insert(AuditEvent.__table__)
_move_head = (
    update(AuditChain.__table__)
    .where(AuditChain.__table__.c.id == 1)
    .values(entries=bindparam("b_entries"), hash=bindparam("b_hash"))
)


class Head(NamedTuple):
    """How many entries the chain has, and the hash of the last."""

    entries: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of looking through the chain: how many entries were in order, and the first that is not.

    `broken` is that entry's number, None when the chain is whole or only its end is missing; `why` says what is
    wrong, "" when nothing is.
    """

    entries: int
    broken: int | None = None
    why: str = ""

    @property
    def is_whole(self) -> bool:
        return not self.why


def entry_hash(previous: str, entry: Mapping[str, Any]) -> str:
    """SHA-256 over the hash of the entry before and the entry as canonical JSON."""
    content = {name: _canonical(entry[name]) for name in FIELDS}
    text = json.dumps([previous, content], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def append(session: Session, entries: Sequence[dict[str, Any]]) -> None:
    """Add entries to the end of the chain, which is nobody else's from here to the end of the transaction.

    Call it last: whoever holds the end waits for no other lock, so nobody waits in a circle.
    """
    head = _take_head(session)
    last = head.hash
    rows = []
    for entry in entries:
        made = entry_hash(last, entry)
        rows.append({**entry, "previous_hash": last, "hash": made})
        last = made
    connection = session.connection()
    for row in rows:  # one by one, so that their numbers are in this order on every database
        connection.execute(_insert_entry, row)
    connection.execute(_move_head, {"b_entries": head.entries + len(rows), "b_hash": last})


def verify(session: Session) -> Verdict:
    """Look through the whole chain, a thousand entries at a time, and say where it was first broken.

    Entries that are added meanwhile are looked at as well.
    """
    last, count, after = GENESIS, 0, 0
    while True:
        # Read before the entries: all that it counts are there to be found.
        head = _read_head(session)
        for number, previous, stored, entry in _entries(session, after):
            if previous != last:
                return Verdict(count, number, _gap(count))
            if entry_hash(last, entry) != stored:
                return Verdict(count, number, "It was changed after it was written.")
            last, count, after = stored, count + 1, number
        if count == head.entries and last == head.hash:
            return Verdict(count)
        if count <= head.entries:
            return Verdict(count, None, _end(head.entries - count))
        if _read_head(session) == head:
            return Verdict(
                count, after, "It was added beside the chain: the record of its end does not know it."
            )


def _take_head(session: Session) -> Head:
    """The end of the chain, locked; made where there is none."""
    connection = session.connection()
    first = {"id": 1, "entries": 0, "hash": GENESIS}
    row = connection.execute(_lock_head.on(connection), first).one()
    return Head(row.entries, row.hash)


def _read_head(session: Session) -> Head:
    row = session.execute(select(AuditChain.entries, AuditChain.hash)).one_or_none()
    return Head(row.entries, row.hash) if row else Head(0, GENESIS)


def _entries(session: Session, after: int) -> Iterator[tuple[int, str, str, dict[str, Any]]]:
    """Number, hash of the one before, own hash and content of each entry behind `after`, in order."""
    table = AuditEvent.__table__
    while True:
        rows = session.execute(
            select(table).where(table.c.id > after).order_by(table.c.id).limit(_READ_AT_ONCE)
        ).all()
        for row in rows:
            yield row.id, row.previous_hash, row.hash, {name: getattr(row, name) for name in FIELDS}
        if len(rows) < _READ_AT_ONCE:
            return
        after = rows[-1].id


def _gap(before: int) -> str:
    if not before:
        return "It is not the first entry of the chain: what stood before it was removed or changed."
    return (
        "It does not follow the entry before it: what stood between them was removed, or either was changed."
    )


def _end(missing: int) -> str:
    if not missing:
        return "The record of the chain’s end does not match its last entry."
    entries = "entry is" if missing == 1 else f"{missing:,} entries are"
    return f"The newest {entries} missing."


def _canonical(value: Any) -> Any:
    """`value` so that it reads the same whichever database it went through."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, Mapping):
        return {str(name): _canonical(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(one) for one in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        # PostgreSQL stores 1e16 as an integer, and no difference of type may look like a forgery.
        return int(value) if abs(value) <= _EXACT and value == int(value) else repr(float(value))
    return value
