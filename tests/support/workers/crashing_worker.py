"""`python -m tests.support.workers.crashing_worker`: a worker that kills itself at a named point, as kill -9 would.

`CRASH_AT` names the point and `CRASH_RUNS` how many runs stand at it when it dies.  Nothing of this is in the
product: the launcher puts subclasses where the product's entrance looks for its classes.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, event

from app.connectors.http import HttpClient
from app.connectors.messages import Reply, Request
from app.services.advance import Move, Moved
from app.services.advance.claims import Claimed
from app.workers import __main__ as entrance
from app.workers import executor as executor_module
from app.workers.executor import Executor
from app.workers.journal import Journal

POINT = os.environ.get("CRASH_AT", "")
RUNS = int(os.environ.get("CRASH_RUNS", "1"))
DIED = 137
# Taken off the queue and not yet looked at · claimed and not committed · intent committed and nothing sent ·
# answers read and nothing written · answers written and not committed · answers committed and nothing sent on ·
# the time of the next try committed
POINTS = ("dequeued", "claiming", "intent_stored", "answered", "result_writing", "result_stored", "backoff")

_together = threading.Barrier(RUNS)


def die_at(point: str, *, holds: bool = True) -> None:
    if holds and point == POINT:
        os._exit(DIED)


class CrashingJournal(Journal):
    """Writes the answers of all `RUNS` runs in one commit, so that a crash meets them all alike."""

    _batch: Sequence[Any] = ()

    def start(self) -> None:
        event.listen(self._engine, "commit", self._before_commit)
        super().start()

    def _next_batch(self) -> Any:
        batch, stop = super()._next_batch()
        while POINT in ("result_writing", "result_stored", "backoff") and 0 < _moves(batch) < RUNS:
            more, stop = super()._next_batch()
            batch += more
        return batch, stop

    def _commit(self, batch: Sequence[Any]) -> None:
        self._batch = batch
        super()._commit(batch)

    def _before_commit(self, _connection: Connection) -> None:
        die_at("result_writing", holds=_moves(self._batch) > 0)

    def _claim(self, *args: Any, **keywords: Any) -> Claimed:
        moved = super()._claim(*args, **keywords)
        die_at("claiming", holds=bool(moved))
        return moved


class CrashingExecutor(Executor):
    def take(self, run_ids: Iterable[int] | None) -> None:
        die_at("dequeued", holds=bool(run_ids))
        super().take(run_ids)

    def after_commit(self, results: Sequence[Moved], now: datetime, **more: Any) -> None:
        orders = [one.order for one in results if one.order is not None]
        die_at("intent_stored", holds=bool(orders))
        die_at("result_stored", holds=any(one.step.key == "join" for one in orders))
        die_at("backoff", holds=any(one.due_at is not None and one.due_at > now for one in results))
        super().after_commit(results, now, **more)


def _moves(batch: Sequence[Any]) -> int:
    return sum(1 for one in batch if isinstance(one, Move))


_send = HttpClient.send


def _send_and_die(client: HttpClient, request: Request) -> Reply:
    reply = _send(client, request)
    if POINT == "answered":
        _together.wait(30)
        die_at("answered")
    return reply


if __name__ == "__main__":
    if POINT not in POINTS:
        sys.exit(f"CRASH_AT is one of {', '.join(POINTS)}")
    HttpClient.send = _send_and_die  # type: ignore[method-assign]
    executor_module.Journal = CrashingJournal  # type: ignore[misc]
    entrance.Executor = CrashingExecutor  # type: ignore[misc]
    sys.exit(entrance.main())
