"""No query writes or locks while it runs, whatever test runs it: the proof at run time of what the tree is read for.

A statement that a service has begun is the service's, also where a query sends it: `run_facts.load` reads rows that
its caller locks.  So is what the session flushes before it reads.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

_APP = Path(__file__).resolve().parents[2] / "app"
_QUERIES, _SERVICES = str(_APP / "queries"), str(_APP / "services")
WRITES = re.compile(
    r"\s*(INSERT|UPDATE|DELETE|TRUNCATE|LOCK)\b|.*\bFOR (NO KEY )?(UPDATE|SHARE)\b|.*pg_advisory", re.DOTALL
)


def sent_by_a_query() -> str:
    """The query that is sending a statement at this moment; "" when none is, or a service has it sent."""
    found, frame = "", sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_SERVICES) or frame.f_code.co_name in ("_autoflush", "_flush"):
            return ""
        if not found and file.startswith(_QUERIES):
            found = f"{Path(file).name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return found


def _refuse(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
    if WRITES.match(statement) and (where := sent_by_a_query()):
        raise AssertionError(f"A query writes or locks, at {where}: {statement}")


@pytest.fixture(scope="session", autouse=True)
def reads_are_pure() -> Iterator[None]:
    """Refuse what a query must not send, on every engine."""
    event.listen(Engine, "before_cursor_execute", _refuse)
    yield
    event.remove(Engine, "before_cursor_execute", _refuse)
