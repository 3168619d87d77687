"""Connections that are parked during an outage, and the runs that wait for them."""

import sqlalchemy as sa
from alembic import op

from app.models.base import Id, Json, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_STATES = ("closed", "watched", "parked", "refused", "held", "trial", "draining")
_CLASSES = (
    "http_5xx",
    "wait",
    "http_4xx",
    "redirect",
    "unexpected_status",
    "timeout",
    "network",
    "tls",
    "egress_blocked",
    "configuration",
    "mapping",
    "outcome_unknown",
    "worker_lost",
)
_CHECKS = {
    "state_word": f"state IN ({', '.join(repr(one) for one in _STATES)})",
    "failure_class_word": f"failure_class IN ({', '.join(repr(one) for one in _CLASSES)})",
    "reason_length": "length(reason) <= 2000",
    "parked_since": "(state NOT IN ('closed', 'watched')) = (parked_at IS NOT NULL)",
    "held_until": "(state = 'held') = (until IS NOT NULL)",
    "goes_on_by_itself": "state NOT IN ('parked', 'trial', 'draining') OR next_at IS NOT NULL",
    "refused_is_not_probed": "state <> 'refused' OR next_at IS NULL",
    "counts": "refusals >= 0 AND probes >= 0 AND rate > 0",
}
_WAITS = (
    "(NEW.waits_for_id IS NULL) <> (NEW.waits_since IS NULL) OR (NEW.waits_for_id IS NOT NULL AND "
    "(NEW.status <> 'running' OR NEW.in_flight OR NEW.worker IS NOT NULL OR NEW.due_at IS NOT NULL))"
)
_MESSAGE = "Only a run that nobody holds and that is not due waits for a connection."


def upgrade() -> None:
    op.create_table(
        "connection_breakers",
        sa.Column("connection_id", Id, autoincrement=False, nullable=False),
        sa.Column("application_id", Id, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("failures", Json, nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("since", UtcDateTime()),
        sa.Column("parked_at", UtcDateTime()),
        sa.Column("until", UtcDateTime()),
        sa.Column("next_at", UtcDateTime()),
        sa.Column("probes", sa.Integer(), nullable=False),
        sa.Column("drained_at", UtcDateTime()),
        sa.Column("rate", sa.Double(), nullable=False),
        sa.Column("trial_run_id", Id),
        sa.Column("failure_class", sa.String(30)),
        sa.Column("failure_status", sa.Integer()),
        sa.Column("reason", sa.Text()),
        sa.Column("parked_by", sa.String(200)),
        sa.Column("revision", sa.Integer(), nullable=False),
        *(
            sa.CheckConstraint(holds, name=op.f(f"ck_connection_breakers_{name}"))
            for name, holds in _CHECKS.items()
        ),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["applications.id"],
            name=op.f("fk_connection_breakers_application_id_applications"),
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_connection_breakers_connection_id_connections"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_connection_breakers")),
    )
    unquiet = sa.text("state <> 'closed'")
    op.create_index(
        "ix_connection_breakers_unquiet",
        "connection_breakers",
        ["application_id"],
        sqlite_where=unquiet,
        postgresql_where=unquiet,
    )
    op.add_column("runs", sa.Column("waits_for_id", Id))
    op.add_column("runs", sa.Column("waits_since", UtcDateTime()))
    op.add_column("runs", sa.Column("let_through_id", Id))
    waits = sa.text("waits_for_id IS NOT NULL")
    op.create_index(
        "ix_runs_waiting", "runs", ["waits_for_id", "id"], sqlite_where=waits, postgresql_where=waits
    )
    if _on_postgresql():
        act = f"EXECUTE FUNCTION refuse_change('{_MESSAGE}')"
    else:
        act = f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
    op.execute(f"CREATE TRIGGER runs_waiting BEFORE UPDATE ON runs FOR EACH ROW WHEN ({_WAITS}) {act}")


def downgrade() -> None:
    """Runs that wait are due at once: without breakers nothing would let them go on."""
    op.execute("DROP TRIGGER runs_waiting" + (" ON runs" if _on_postgresql() else ""))
    runs = sa.table("runs", sa.column("due_at", UtcDateTime()), sa.column("waits_since"), sa.column("waits_for_id"))
    op.get_bind().execute(
        sa.update(runs).where(runs.c.waits_for_id.is_not(None)).values(due_at=runs.c.waits_since)
    )
    op.drop_index("ix_runs_waiting", "runs")
    for name in ("let_through_id", "waits_since", "waits_for_id"):
        op.drop_column("runs", name)
    op.drop_index("ix_connection_breakers_unquiet", "connection_breakers")
    op.drop_table("connection_breakers")


def _on_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"
