"""Connections: as lists show them, and as a call needs them, with their credentials still sealed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from sqlalchemy import Connection as DbConnection
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.domain.runs.calls import ConnectionData
from app.models import Connection, Credential
from app.queries.paging import page_by_number


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


def _of(application_id: int) -> Select[Connection]:
    return select(Connection).where(Connection.application_id == application_id)
