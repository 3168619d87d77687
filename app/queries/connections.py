"""Connections as a call needs them: where they lead, with their credentials still sealed."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from sqlalchemy import Connection as DbConnection
from sqlalchemy import select

from app.domain.runs.calls import ConnectionData
from app.models import Connection, Credential


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
