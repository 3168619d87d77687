"""The rows that decisions come to, gathered for many runs and written in a handful of statements."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, tuple_, type_coerce, update

from app.database import changed, merged, writes_alone
from app.models import Attempt, ExternalAccount, Grant, ManualTask, Run, RunEvent, RunOverride
from app.services.advance.bulk_statements import ManyUpdates, Values, insert_many

_RUN_COLUMNS = (
    "status",
    "cursor",
    "attempt",
    "tries",
    "deaths",
    "in_flight",
    "compensating",
    "task_origin",
    "failure_ignored",
    "outcome_unknown",
    "captured",
    "attempts_made",
    "due_at",
    "lease_until",
    "worker",
    "fence",
    "holds_lane",
    "waits_for_id",
    "waits_since",
    "told_to_wait_at",
    "cancel_requested_by",
    "started_at",
    "finished_at",
    "changed_at",
)

_update_run = ManyUpdates(
    Run.__table__,
    {"b_id": "id", "b_from": "status"},
    lambda given: {name: given(name) for name in _RUN_COLUMNS} | {"revision": Run.__table__.c.revision + 1},
)
_hop = (
    update(Run.__table__)
    .where(Run.__table__.c.id == bindparam("b_id"), Run.__table__.c.status == bindparam("b_from"))
    .values(status=bindparam("b_to"), due_at=bindparam("b_due", type_=Run.__table__.c.due_at.type))
)
_end_attempt = ManyUpdates(
    Attempt.__table__,
    {"b_run": "run_id", "b_step": "step_key", "b_number": "number", "b_from": "status"},
    lambda given: {
        name: given(name)
        for name in (
            "status",
            "failure_class",
            "http_status",
            "outcome_unknown",
            "edge",
            "detail",
            "next_attempt_at",
            "finished_at",
            "duration_ms",
            "captured",
        )
    },
)
_late_note = (
    update(Attempt.__table__)
    .where(
        Attempt.__table__.c.run_id == bindparam("b_run"),
        Attempt.__table__.c.step_key == bindparam("b_step"),
        Attempt.__table__.c.number == bindparam("b_number"),
    )
    .values(late_note=bindparam("late_note"))
)
_close_task = (
    update(ManualTask.__table__)
    .where(ManualTask.__table__.c.run_id == bindparam("b_run"), ManualTask.__table__.c.status == "pending")
    .values(status=bindparam("b_status"), outcome=bindparam("outcome"), acted_at=bindparam("acted_at"))
)
_grant_state = ManyUpdates(
    Grant.__table__,
    {"b_grant": "id", "b_run": "newest_run_id"},
    lambda given: {name: given(name) for name in ("state", "state_reason")},
    lock_order=["id"],
)
_kept = Grant.__table__.c.kept
_grant_kept = ManyUpdates(
    Grant.__table__,
    {"b_grant": "id"},
    lambda given: {"kept": merged(_kept, type_coerce(given("b_kept"), _kept.type))},
    columns={"b_kept": "kept"},
    lock_order=["id"],
)
_captured = ExternalAccount.__table__.c.captured
_account = ManyUpdates(
    ExternalAccount.__table__,
    {"b_user": "user_id", "b_application": "application_id"},
    lambda given: {
        "captured": merged(_captured, type_coerce(given("b_learnt"), _captured.type)),
        "run_id": given("b_run"),
        "state": func.coalesce(given("b_state"), ExternalAccount.__table__.c.state),
        "updated_at": given("updated_at"),
    },
    columns={"b_run": "run_id", "b_state": "state", "b_learnt": "captured"},
    lock_order=["user_id", "application_id"],
)


@lru_cache(maxsize=64)
def _story(columns: tuple[str, ...]) -> Any:
    """An update of those columns alone that tell why a run failed or ended: most moves touch none of them."""
    table = Run.__table__
    return (
        update(table)
        .where(table.c.id == bindparam("b_id"))
        .values({name: bindparam(name) for name in columns if name != "b_id"})
    )


class LostRace(RuntimeError):
    """A guarded write matched fewer rows than it must: somebody else moved the run in between."""


class WritePlan:
    """Collects what is to be written; `flush` writes it in an order that never deadlocks (runs, pair, grant)."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.hops: list[Values] = []
        self.runs: list[Values] = []
        self.stories: list[Values] = []
        self.ended: list[Values] = []
        self.started: list[Values] = []
        self.tasks: list[Values] = []
        self.closed_tasks: list[Values] = []
        self.events: list[Values] = []
        self.grants: list[Values] = []
        # What runs keep with their grants: a run of the grant's other event may be adding something of its own.
        self.kept: dict[int, Values] = {}
        self.accounts: dict[tuple[int, int], Values] = {}
        self.late: list[Values] = []
        # Runs that come to a stop, with their pairs of person and application.
        self.stopped: dict[int, tuple[int, int]] = {}
        self.used_overrides: list[int] = []
        self.spent_overrides: list[int] = []

    def event(self, run_id: int, kind: str, message: str, by: str | None = None) -> None:
        self.events.append({"run_id": run_id, "at": self.now, "kind": kind, "message": message, "by": by})

    def flush(self, connection: Connection) -> None:
        """Write everything; raises LostRace when a guarded change met a row in another status."""
        _guard(_hops(connection, self.hops), self.hops)
        _guard(_update_run.execute(connection, self.runs), self.runs)
        for same_shape in _by_columns(self.stories):
            self._many(connection, _story(tuple(same_shape[0])), same_shape)
        _guard(_end_attempt.execute(connection, self.ended), self.ended)
        self._many(connection, _close_task, self.closed_tasks)
        # What is over already came before what begins now.
        for same_shape in sorted(_by_columns(self.started), key=lambda rows: "finished_at" not in rows[0]):
            insert_many(connection, Attempt.__table__, same_shape)
        self._insert_tasks(connection)
        self._many(connection, insert(RunEvent.__table__), self.events)
        self._many(connection, _late_note, self.late)
        if self.used_overrides:
            used = RunOverride.run_id.in_(self.used_overrides)
            connection.execute(update(RunOverride).where(used).values(sealed=None))
        if self.spent_overrides:
            connection.execute(delete(RunOverride).where(RunOverride.run_id.in_(self.spent_overrides)))
        self._lock_pairs(connection)
        _account.execute(connection, [self.accounts[key] for key in sorted(self.accounts)])
        _grant_kept.execute(
            connection, [{"b_grant": grant, "b_kept": self.kept[grant]} for grant in sorted(self.kept)]
        )
        _grant_state.execute(connection, sorted(self.grants, key=lambda one: one["b_grant"]))

    def _lock_pairs(self, connection: Connection) -> None:
        """Hold the pairs of runs that stop, and those written anyway: nobody decides about them meanwhile."""
        if not self.stopped or writes_alone(connection):
            return
        table = ExternalAccount.__table__
        key = tuple_(table.c.user_id, table.c.application_id)
        pairs = sorted({*self.stopped.values(), *self.accounts})
        connection.execute(
            select(table.c.user_id)
            .where(key.in_(pairs))
            .order_by(table.c.user_id, table.c.application_id)
            .with_for_update(key_share=True)
        )

    def _insert_tasks(self, connection: Connection) -> None:
        """Tasks one by one, for their ids belong on the timeline's entries."""
        for task in self.tasks:
            result = connection.execute(insert(ManualTask.__table__).values(task))
            assert result.inserted_primary_key is not None
            table = Attempt.__table__
            connection.execute(
                update(table)
                .where(
                    table.c.run_id == task["run_id"],
                    table.c.step_key == task["step_key"],
                    table.c.number == task["attempt"],
                )
                .values(task_id=result.inserted_primary_key[0])
            )

    @staticmethod
    def _many(connection: Connection, statement: Any, rows: list[Values]) -> None:
        if rows:
            connection.execute(statement, rows)


def _hops(connection: Connection, rows: list[Values]) -> int:
    """One by one: a run may go through several statuses at once, and each follows from the one before."""
    return changed(connection, _hop, rows) if rows else 0


def _guard(written: int, rows: list[Values]) -> None:
    if written != len(rows):
        raise LostRace("A run was moved by somebody else.")


def _by_columns(rows: list[Values]) -> list[list[Values]]:
    groups: defaultdict[tuple[str, ...], list[Values]] = defaultdict(list)
    for row in rows:
        groups[tuple(row)].append(row)
    return list(groups.values())
