"""The audit trail: every act that changes something writes one entry, in the act's own transaction.

Entries are noted while the transaction goes on and written at its end, since writing one locks the end of the
chain (`audit_chain`) against everybody else who acts. Reading the trail within the transaction writes them first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

from app.models import (
    AlertMessage,
    ApiToken,
    Application,
    AuditEvent,
    Base,
    BulkRetry,
    Connection,
    Grant,
    Group,
    ManualTask,
    Role,
    Run,
    User,
    Workflow,
)
from app.permissions import Actor
from app.services.audit_chain import append

# What the trail calls each record: its kind, and this one of the kind. What is stored was called so.
_named = attrgetter("name")
_RECORDS: dict[type[Base], tuple[str, Callable[[Any], str]]] = {
    AlertMessage: ("alert", attrgetter("title")),
    ApiToken: ("token", _named),
    Application: ("application", _named),
    BulkRetry: ("bulk_retry", lambda bulk: f"Bulk retry {bulk.id}: {bulk.name}"),
    Connection: ("connection", _named),
    Grant: ("grant", lambda grant: f"Grant {grant.id}"),
    Group: ("group", _named),
    ManualTask: ("task", lambda task: f"Task {task.id} of run {task.run_id}"),
    Role: ("role", _named),
    Run: ("run", lambda run: f"Run {run.id}"),
    User: ("user", _named),
    Workflow: ("workflow", _named),
}

_NOTED = "audit_noted"
_Noted = list[tuple[SessionTransaction | None, dict[str, Any]]]


class Subject(NamedTuple):
    """What an act was done to, where it is no record by itself: its kind, its number and how it is called."""

    kind: str
    id: int | str
    name: str


def record(  # actor did action to a record: read in that order everywhere
    session: Session,
    actor: Actor,
    action: str,
    to: Base | Subject,
    *,
    now: datetime,
    reason: str | None = None,
    changes: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Note that `actor` did `action` to a record, which has its number already.

    `changes` is {field: [old, new]} in plain JSON values and never holds a secret's value.
    """
    subject = to if isinstance(to, Subject) else _subject(to)
    entry = {
        "at": now,
        "action": action,
        "actor_kind": actor.kind,
        "actor_id": actor.user_id,
        "actor": actor.name[:200],
        "subject_type": subject.kind,
        "subject_id": str(subject.id),
        "subject": subject.name[:200],
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


def _subject(record: Any) -> Subject:
    kind, name = _RECORDS[type(record)]
    return Subject(kind, record.id, name(record))


def _reads_trail(state: ORMExecuteState) -> bool:
    return any(mapper.class_ is AuditEvent for mapper in state.all_mappers)


def _write(session: Session) -> None:
    noted: _Noted = session.info.pop(_NOTED, [])
    if not noted:
        return
    session.flush()  # every other row is written, and so locked, before the end of the chain
    append(session, [entry for _owner, entry in noted])
