"""The audit trail: every act that changes something writes one entry, in the act's own transaction.

Entries are noted while the transaction goes on and written at its end, since writing one locks the end of the
chain (`audit_chain`) against everybody else who acts. Reading the trail within the transaction writes them first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

from app.models import AuditEvent
from app.permissions import Actor
from app.services.audit_chain import append

_NOTED = "audit_noted"
_Noted = list[tuple[SessionTransaction | None, dict[str, Any]]]


def record(  # noqa: PLR0917  # actor did action to subject: read in that order everywhere
    session: Session,
    actor: Actor,
    action: str,
    subject_type: str,
    subject_id: int | str,
    subject: str,
    *,
    now: datetime,
    reason: str | None = None,
    changes: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Note that `actor` did `action` to a record.

    `changes` is {field: [old, new]} in plain JSON values and never holds a secret's value.
    """
    entry = {
        "at": now,
        "action": action,
        "actor_kind": actor.kind,
        "actor_id": actor.user_id,
        "actor": actor.name[:200],
        "subject_type": subject_type,
        "subject_id": str(subject_id),
        "subject": subject[:200],
        "source": actor.source[:64],
        "reason": reason,
        "changes": {name: list(pair) for name, pair in (changes or {}).items()},
    }
    noted: _Noted = session.info.setdefault(_NOTED, [])
    noted.append((session.get_nested_transaction() or session.get_transaction(), entry))


@event.listens_for(Session, "before_commit")
def _before_commit(session: Session) -> None:
    """Write the entries at the end of the transaction; those of a savepoint belong to what it was set in."""
    savepoint = session.get_nested_transaction()
    if savepoint is None:
        _write(session)
    elif session.info.get(_NOTED):
        session.flush()  # what it refuses undoes the savepoint, and its entries with it
        session.info[_NOTED] = [
            (savepoint.parent if owner is savepoint else owner, entry)
            for owner, entry in session.info[_NOTED]
        ]


@event.listens_for(Session, "do_orm_execute")
def _write_before_reading(state: ORMExecuteState) -> None:
    if state.session.info.get(_NOTED) and state.is_select and _reads_trail(state):
        _write(state.session)


@event.listens_for(Session, "after_transaction_end")
def _forget_undone(session: Session, transaction: SessionTransaction) -> None:
    """What was undone did not happen: the entries that are left with a finished transaction go with it."""
    if _NOTED not in session.info:
        return
    if transaction.parent is None:
        del session.info[_NOTED]
    elif transaction.nested:
        session.info[_NOTED] = [one for one in session.info[_NOTED] if one[0] is not transaction]


def _reads_trail(state: ORMExecuteState) -> bool:
    return any(mapper.class_ is AuditEvent for mapper in state.all_mappers)


def _write(session: Session) -> None:
    noted: _Noted = session.info.pop(_NOTED, [])
    if not noted:
        return
    session.flush()  # every other row is written, and so locked, before the end of the chain
    append(session, [entry for _owner, entry in noted])
