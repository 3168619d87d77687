"""How the two databases are spoken to: SQLite's settings, the database's own time, and where a write begins."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, event, func, select

from app import clock

# A long lock wait is a fault to report, not a page to keep somebody waiting on.
BUSY_MS = 10_000
WRITES = {"begins_write": True}


def prepare_engine(engine: Engine) -> None:
    """Set an engine up: on SQLite WAL, full durability, foreign keys, and explicit transactions.

    Python's sqlite3 begins transactions late and by itself; we begin them.  A transaction that will write takes
    the write lock at once (`BEGIN IMMEDIATE`), because upgrading a reading one fails under concurrency with no
    waiting at all.  `synchronous=FULL`: an attempt that was committed before its call was sent must survive a
    power cut, or the call could be sent twice.
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            f"busy_timeout={BUSY_MS}",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("begins_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def db_now(connection: Connection) -> datetime:
    """The database's time, aware, in UTC: the one that leases and due times go by, whatever a host's clock says."""
    if connection.dialect.name == "sqlite":
        return clock.now()  # the database is a file on this host, so its clock is ours
    at: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return at
