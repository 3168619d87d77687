"""A time that stands still until a test moves it, for every clock that the engine goes by, PostgreSQL's included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from app import clock, queue, rates
from app.workers import executor, journal, sweeper

BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
# PostgreSQL looks functions up along the path: one of ours, in front of its own, tells the machine's time.
_MAKE = """
CREATE SCHEMA IF NOT EXISTS told;
CREATE OR REPLACE FUNCTION told.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS $$ SELECT current_setting('told.now')::timestamptz $$;
"""
_TELL = (
    "SELECT set_config('told.now', :now, true), set_config('search_path', 'told, pg_catalog, public', true)"
)


class MachineTime:
    """`wall` is what clocks say, `elapsed` the seconds that have really gone by; a clock may jump, time may not."""

    def __init__(self) -> None:
        self.wall = BEGIN
        self.elapsed = 1000.0

    def go(self, seconds: float) -> None:
        self.elapsed += seconds
        self.wall += timedelta(seconds=seconds)

    def jump(self, seconds: float) -> None:
        """Set every clock on or back."""
        self.wall += timedelta(seconds=seconds)

    def monotonic(self) -> float:
        """Where a module has `time`, this stands in for it."""
        return self.elapsed

    def install(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(clock, "now", lambda: self.wall)
        patch.setattr(clock, "elapsed", self.monotonic)
        for module in (executor, journal, queue, rates):
            patch.setattr(module, "time", self)
        patch.setattr(journal, "GATHER_SECONDS", 0.0)
        # What people should know of is nothing that runs go by, and takes most of a pass's time.
        patch.setattr(sweeper, "look", lambda *_of, **_with: 0)

    def prepare(self, engine: Engine) -> None:
        """Make the database able to be told the time."""
        if engine.dialect.name == "postgresql":
            with engine.begin() as connection:
                connection.exec_driver_sql(_MAKE)

    def tell(self, connection: Connection) -> None:
        """Tell the database what time it is in this transaction."""
        if connection.dialect.name == "postgresql":
            connection.execute(text(_TELL), {"now": self.wall.isoformat()})
