"""Whether a read is answered by indexes: what the planner says of the statements that were really sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from sqlalchemy import Engine, event

# What grows with the history.
LARGE = ("runs", "grants", "attempts", "run_events", "manual_tasks", "external_accounts")


def whole_tables_read(engine: Engine, read: Callable[[], object]) -> list[str]:
    """The steps of the plans of everything that `read` sends which go through a whole large table.

    On PostgreSQL walking a table is made dear first: on the few rows of a test it would always be the cheapest.
    """
    return [step for step in _plans(engine, read) if _is_whole(step, engine.dialect.name)]


def rows_sorted(engine: Engine, read: Callable[[], object]) -> list[str]:
    """The steps, on SQLite, that put rows in order which no index gives: all of them, before the first is given."""
    return [step for step in _plans(engine, read) if "TEMP B-TREE" in step]


def _plans(engine: Engine, read: Callable[[], object]) -> list[str]:
    sent: list[tuple[str, object]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        if statement.startswith(("SELECT", "WITH")):
            sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        read()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert sent
    return [step for statement, given in sent for step in _plan(engine, statement, given)]


def _plan(engine: Engine, statement: str, parameters: object) -> Sequence[str]:
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        if engine.dialect.name == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {statement}", parameters)
            return [row[0] for row in cursor.fetchall()]
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [row[3] for row in cursor.fetchall()]


def _is_whole(step: str, dialect: str) -> bool:
    """SQLite says SCAN with an index where it walks one: a partial one is small, the others are whole tables."""
    if dialect == "postgresql":
        return any(re.search(rf"Seq Scan on {table}\b", step) for table in LARGE)
    found = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step)
    if found is None or not any(found[1].startswith(table) for table in LARGE):
        return False
    return found[2] is None
