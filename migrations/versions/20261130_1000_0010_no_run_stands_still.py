"""Rows of runs that nothing would ever move again are impossible: in flight for nobody, or due at no time."""

import sqlalchemy as sa
from alembic import op

from app.models.base import Id, UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_RULES = {
    "runs_in_flight": (
        "NEW.in_flight <> (NEW.worker IS NOT NULL) OR NEW.in_flight <> (NEW.lease_until IS NOT NULL)"
        " OR (NEW.in_flight AND NEW.due_at IS NOT NULL)",
        "A run in flight has a worker and a lease and is not due, and no other has either.",
    ),
    "runs_go_on": (
        "NEW.status IN ('queued', 'running') AND NOT NEW.in_flight"
        " AND NEW.due_at IS NULL AND NEW.waits_for_id IS NULL",
        "A run that is to go on is in flight, due at a time, or waits for a connection.",
    ),
}


def upgrade() -> None:
    _mend()
    for name, (refused, message) in _RULES.items():
        for event in ("INSERT", "UPDATE"):
            if _on_postgresql():
                act = f"EXECUTE FUNCTION refuse_change('{message}')"
            else:
                act = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            op.execute(
                f"CREATE TRIGGER {name}_{event.lower()} BEFORE {event} ON runs FOR EACH ROW WHEN ({refused}) {act}"
            )


def downgrade() -> None:
    for name in _RULES:
        for event in ("insert", "update"):
            op.execute(f"DROP TRIGGER {name}_{event}" + (" ON runs" if _on_postgresql() else ""))


def _mend() -> None:
    """Runs that stand still already: whose call is out for nobody are lost by a worker of that name, others are due."""
    runs = sa.table(
        "runs",
        sa.column("id", Id),
        sa.column("status"),
        sa.column("in_flight", sa.Boolean()),
        sa.column("worker"),
        sa.column("lease_until", UtcDateTime()),
        sa.column("due_at", UtcDateTime()),
        sa.column("waits_for_id", Id),
        sa.column("changed_at", UtcDateTime()),
    )
    open_runs = runs.c.status.in_(["queued", "running"])
    bind = op.get_bind()
    bind.execute(
        sa.update(runs)
        .where(runs.c.in_flight, open_runs, sa.or_(runs.c.worker.is_(None), runs.c.lease_until.is_(None)))
        .values(worker="nobody", lease_until=runs.c.changed_at, due_at=None)
    )
    bind.execute(sa.update(runs).where(runs.c.in_flight, runs.c.due_at.is_not(None)).values(due_at=None))
    bind.execute(
        sa.update(runs)
        .where(sa.not_(runs.c.in_flight), sa.or_(runs.c.worker.is_not(None), runs.c.lease_until.is_not(None)))
        .values(worker=None, lease_until=None)
    )
    bind.execute(
        sa.update(runs)
        .where(open_runs, sa.not_(runs.c.in_flight), runs.c.due_at.is_(None), runs.c.waits_for_id.is_(None))
        .values(due_at=runs.c.changed_at)
    )


def _on_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"
