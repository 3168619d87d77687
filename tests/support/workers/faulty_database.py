"""A real database that goes wrong as it is told to, for one of those who speak to it or for all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import errors
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DataError, InternalError, OperationalError

from tests.support.workers.machine_time import MachineTime

_WRITING = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b")
_ENDS_A_TRY = re.compile(r"\s*UPDATE attempts\b")
EVERYBODY = "everybody"
# Whoever looks from outside: nothing befalls the test's own reads.
NOBODY = "nobody"


class FaultyDatabase:
    """Watches an engine. `actor` is who speaks at the moment; faults are by actor, or EVERYBODY's."""

    def __init__(self, engine: Engine, time: MachineTime) -> None:
        self._engine, self._time = engine, time
        self.actor = "web"
        self.transactions = 0
        self._away: dict[str, float] = {}
        self._read_only_until = 0.0
        self._commits: dict[str, str] = {}
        self._refusals: dict[str, int] = {}
        self._hooks: list[tuple[str, Callable[..., Any]]] = [
            ("begin", self._begins),
            ("commit", self._commits_now),
            ("rollback", self._rolls_back),
            ("before_cursor_execute", self._executes),
        ]

    @contextmanager
    def watched(self) -> Iterator[None]:
        for name, hook in self._hooks:
            event.listen(self._engine, name, hook)
        try:
            yield
        finally:
            for name, hook in self._hooks:
                event.remove(self._engine, name, hook)

    @contextmanager
    def spoken_to_by(self, actor: str) -> Iterator[None]:
        before, self.actor = self.actor, actor
        try:
            yield
        finally:
            self.actor = before

    # Faults
    def go_away(self, actor: str, seconds: float) -> None:
        """No transaction of `actor` begins, for so long."""
        self._away[actor] = self._time.elapsed + seconds

    def be_read_only(self, seconds: float) -> None:
        self._read_only_until = self._time.elapsed + seconds

    def fail_commit(self, actor: str, *, arrives: bool) -> None:
        """The actor's next commit is cut off, or done and its reply lost."""
        self._commits[actor] = "arrives" if arrives else "cut off"

    def refuse(self, actor: str, times: int) -> None:
        """So many times what the actor writes about a try is taken for impossible, as a value may be."""
        self._refusals[actor] = times

    def heal(self) -> None:
        self._refusals.clear()
        self._away.clear()
        self._commits.clear()
        self._read_only_until = 0.0

    # What the engine tells
    def _begins(self, connection: Connection) -> None:
        gone = max(self._away.get(self.actor, 0.0), self._away.get(EVERYBODY, 0.0))
        if gone > self._time.elapsed and self.actor != NOBODY:
            raise OperationalError("BEGIN", None, errors.OperationalError("the server is away"))
        self.transactions += 1
        self._time.tell(connection)

    def _rolls_back(self, _connection: Connection) -> None:
        self.transactions -= 1

    def _commits_now(self, connection: Connection) -> None:
        self.transactions -= 1
        fault = self._commits.pop(self.actor, None)
        if fault == "arrives":
            raw: Any = connection.connection.dbapi_connection
            if connection.dialect.name == "sqlite":
                raw.execute("COMMIT")
            else:
                raw.commit()
        if fault is not None:
            raise OperationalError("COMMIT", None, errors.OperationalError("the connection is lost"))

    def _executes(self, _connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        is_refused = self._read_only_until > self._time.elapsed and self.actor != NOBODY
        if is_refused and _WRITING.match(statement):
            raise InternalError(statement, None, errors.ReadOnlySqlTransaction("read-only transaction"))
        if self._refusals.get(self.actor, 0) and _ENDS_A_TRY.match(statement):
            self._refusals[self.actor] -= 1
            raise DataError(statement, None, errors.UntranslatableCharacter("it cannot be written"))
