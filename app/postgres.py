"""How PostgreSQL is connected to: no wait for it is without an end, on either side of the wire.

A statement that takes too long, a lock that does not come free and a transaction that says nothing more are the
server's to end; a server, or something between it and us, that is silent is ours to give up on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

# What the address in DATABASE_URL says of these counts instead.
WIRE: dict[str, int] = {
    "connect_timeout": 5,
    # A host that vanished without a word is noticed after about ten seconds, whether we ask or wait.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# Set by a statement, not while connecting: PgBouncer refuses what it does not know at that moment.
LIMITS = {
    # Less than the wait for a lock: who holds one and has fallen silent is ended before those behind it give up.
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "10s",
    "statement_timeout": "30s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
# Seconds until we take the server to be silent: with a statement it may take its own time, and a little more.
STATEMENT_SECONDS = 35.0
COMMIT_SECONDS = 10.0
PING_SECONDS = 5.0


class LimitedConnection(psycopg.Connection[Any]):
    """A connection that waits for an answer for so long, and is closed when none has come.

    Raises psycopg's OperationalError then. `patience` is what a statement of this transaction may take, in
    seconds; None waits as long as it takes, and for the COMMIT too.
    """

    patience: float | None = STATEMENT_SECONDS

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        # Without a transaction of its own nothing is sent but the pool's question whether the server is there.
        limit = PING_SECONDS if self.autocommit else self.patience
        try:
            return super().wait(gen, interval, timeout or limit)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                # An answer that comes after all must not be taken for the one to the next statement.
                self.pgconn.finish()
            raise

    def commit(self) -> None:
        self._end(super().commit)

    def rollback(self) -> None:
        self._end(super().rollback)

    def _end(self, end: Callable[[], None]) -> None:
        if self.patience is not None:
            self.patience = COMMIT_SECONDS
        try:
            end()
        finally:
            self.patience = STATEMENT_SECONDS


def connect(*args: Any, **options: Any) -> LimitedConnection:
    """A connection with all limits set; `options` are psycopg's."""
    connection = LimitedConnection.connect(*args, **{**WIRE, **options})
    settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in LIMITS.items())
    connection.autocommit = True
    connection.execute(f"SELECT {settings}")
    connection.autocommit = False
    return connection
