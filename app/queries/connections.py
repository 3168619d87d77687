"""Connections: as lists show them, as a call needs them (credentials still sealed), and which are parked and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Select, func, literal_column, select
from sqlalchemy import Connection as DbConnection
from sqlalchemy.orm import Session

from app.connectors.types.table import has_probe
from app.domain.runs.breaker import BreakerState
from app.domain.runs.calls import ConnectionData
from app.models import Application, Connection, ConnectionBreaker, Credential, Run
from app.queries.paging import page_by_number
from app.queries.run_words import failure_words

# Nobody needs to know of more, nor that more runs than this wait.
PARKED_SHOWN = 50
WAITING_COUNTED = 1000
_UNQUIET: list[ColumnElement[str]] = [literal_column(f"'{one}'") for one in BreakerState if not one.is_quiet]


@dataclass(frozen=True, slots=True)
class Parking:
    """A connection that holds runs up. `waiting` counts these, up to WAITING_COUNTED."""

    connection_id: int
    name: str
    application_id: int
    application: str
    has_probe: bool
    state: BreakerState
    since: datetime
    until: datetime | None
    next_at: datetime | None
    failure: str
    reason: str | None
    parked_by: str | None
    waiting: int

    @property
    def label(self) -> str:
        return self.state.label

    @property
    def tone(self) -> str:
        return self.state.tone

    @property
    def why(self) -> str:
        """Why runs wait, as a sentence."""
        match self.state:
            case BreakerState.HELD:
                return f"Parked by {self.parked_by}: {self.reason}"
            case BreakerState.REFUSED:
                return (
                    "The credential was refused again and again. Nothing more is sent with it, so that the "
                    "account is not locked."
                )
            case BreakerState.TRIAL:
                return "One run was let through, to see whether the system is back."
            case BreakerState.DRAINING:
                return "The system answers again. Waiting runs go on, oldest first, a few at a time."
            case _:
                if self.reason is not None and not self.failure:
                    return f"The time for which {self.parked_by} parked it is over ({self.reason})."
                return f"Calls failed one after the other, last with: {self.failure or 'no answer'}."

    @property
    def probe_at(self) -> datetime | None:
        """When it is tried next by itself."""
        return self.next_at if self.state is BreakerState.PARKED else self.until

    @property
    def todo(self) -> str:
        """What ends it."""
        match self.state:
            case BreakerState.HELD:
                return "It is tried again at the end of this time."
            case BreakerState.REFUSED:
                return "Replace the credential, or mend the account there and test the connection."
            case BreakerState.TRIAL | BreakerState.DRAINING:
                return "Nothing to do."
            case _ if self.has_probe:
                return "The health check path is asked again and again; runs go on by themselves once it answers."
            case _:
                return "A webhook has nothing to probe: one waiting run is let through now and then, to see."


def connections_by_age(
    session: Session, application_id: int, *, limit: int, before: int | None = None
) -> Sequence[Connection]:
    """Up to `limit` connections of an application, the oldest first; `before` reads on behind that one."""
    statement = page_by_number(_of(application_id), Connection.id, before, None, rising=True)
    return session.scalars(statement.limit(limit)).all()


def connections_by_name(session: Session, application_id: int) -> Sequence[Connection]:
    """All of an application's connections."""
    return session.scalars(_of(application_id).order_by(Connection.name)).all()


def connections_by_id(connection: DbConnection, ids: Iterable[int | None]) -> dict[int, ConnectionData]:
    """The connections with their sealed credentials; ids that name none are left out."""
    wanted = [one for one in ids if one is not None]
    if not wanted:
        return {}
    statement = (
        select(
            Connection.id,
            Connection.application_id,
            Connection.type,
            Connection.name,
            Connection.config,
            Credential.sealed,
            Credential.set_at,
        )
        .join(Credential, Credential.connection_id == Connection.id, isouter=True)
        .where(Connection.id.in_(wanted))
    )
    return {
        row.id: ConnectionData(
            row.id, row.application_id, row.type, row.name, row.config, row.sealed, row.set_at
        )
        for row in connection.execute(statement)
    }


def host_of(target: ConnectionData | None) -> str | None:
    """The host (and port, where one is named) that a connection reaches: all of a URL that is ever recorded."""
    if target is None:
        return None
    url = str(target.config.get("base_url") or target.config.get("url") or "")
    return urlsplit(url).netloc.rpartition("@")[2] or None


def parkings(session: Session, *, application_id: int | None = None) -> list[Parking]:
    """Up to PARKED_SHOWN connections that hold runs up, the longest parked first; one statement."""
    return _found(session, application_id=application_id)


def parkings_of(session: Session, connection_ids: Iterable[int]) -> dict[int, Parking]:
    """Those of these connections that hold runs up, by number; no statement for none."""
    ids = sorted(set(connection_ids))
    return {one.connection_id: one for one in _found(session, ids=ids)} if ids else {}


def _of(application_id: int) -> Select[Connection]:
    return select(Connection).where(Connection.application_id == application_id)


def _found(
    session: Session, *, ids: list[int] | None = None, application_id: int | None = None
) -> list[Parking]:
    waits = select(Run.id).where(Run.waits_for_id == ConnectionBreaker.connection_id).limit(WAITING_COUNTED)
    statement = (
        select(
            ConnectionBreaker,
            Connection.name,
            Connection.type,
            Application.name.label("application"),
            select(func.count()).select_from(waits.correlate(ConnectionBreaker).subquery()).scalar_subquery(),
        )
        .join(Connection, Connection.id == ConnectionBreaker.connection_id)
        .join(Application, Application.id == ConnectionBreaker.application_id)
        .where(ConnectionBreaker.state.in_(_UNQUIET))
        .order_by(ConnectionBreaker.parked_at, ConnectionBreaker.connection_id)
        .limit(PARKED_SHOWN)
        .execution_options(populate_existing=True)
    )
    if ids is not None:
        statement = statement.where(ConnectionBreaker.connection_id.in_(ids)).limit(None)
    if application_id is not None:
        statement = statement.where(ConnectionBreaker.application_id == application_id).limit(None)
    return [_parking(*row) for row in session.execute(statement)]


def _parking(row: ConnectionBreaker, name: str, kind: str, application: str, waiting: int) -> Parking:
    assert row.parked_at is not None
    return Parking(
        connection_id=row.connection_id,
        name=name,
        application_id=row.application_id,
        application=application,
        has_probe=has_probe(kind),
        state=BreakerState(row.state),
        since=row.parked_at,
        until=row.until,
        next_at=row.next_at,
        failure=failure_words(row.failure_class, row.failure_status),
        reason=row.reason,
        parked_by=row.parked_by,
        waiting=waiting,
    )
