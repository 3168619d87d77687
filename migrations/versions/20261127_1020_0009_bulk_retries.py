"""Retries of many failed runs at once, as jobs."""

import sqlalchemy as sa
from alembic import op

from app.models.base import Id, UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_LIVE = "status IN ('probing', 'running', 'stopping')"
_OPEN_ITEM = "status IN ('waiting', 'started')"
_PROBING = "is_probe AND status = 'started'"

JOB_MOVES = {
    "probing": ("running", "stopping", "stopped", "probe_failed", "finished"),
    "running": ("stopping", "stopped", "finished"),
    "stopping": ("stopped",),
}
ITEM_MOVES = {
    "waiting": ("started", "skipped"),
    "started": ("succeeded", "failed_again", "waiting_manual", "ended"),
}


def upgrade() -> None:
    op.create_table(
        "bulk_retries",
        sa.Column("id", Id, nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("left_out", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("created_by_id", Id),
        sa.Column("stopped_by", sa.String(200)),
        sa.Column("finished_at", UtcDateTime()),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('probing', 'running', 'stopping', 'finished', 'probe_failed', 'stopped')",
            name=op.f("ck_bulk_retries_status_word"),
        ),
        sa.CheckConstraint("length(reason) <= 2000", name=op.f("ck_bulk_retries_reason_length")),
        sa.CheckConstraint("total BETWEEN 1 AND 500", name=op.f("ck_bulk_retries_total")),
        sa.CheckConstraint(
            f"({_LIVE}) = (finished_at IS NULL)", name=op.f("ck_bulk_retries_finished_when_over")
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["users.id"], name=op.f("fk_bulk_retries_created_by_id_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_retries")),
        sa.UniqueConstraint("token", name=op.f("uq_bulk_retries_token")),
    )
    live = sa.text(_LIVE)
    op.create_index("ix_bulk_retries_live", "bulk_retries", ["id"], sqlite_where=live, postgresql_where=live)
    op.create_table(
        "bulk_retry_items",
        sa.Column("id", Id, nullable=False),
        sa.Column("bulk_retry_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("cause_class", sa.String(30)),
        sa.Column("cause_status", sa.Integer()),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("is_probe", sa.Boolean(), nullable=False),
        sa.Column("skip_reason", sa.String(30)),
        sa.Column("failure_class", sa.String(30)),
        sa.Column("failure_status", sa.Integer()),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("started_at", UtcDateTime()),
        sa.Column("finished_at", UtcDateTime()),
        sa.CheckConstraint(
            "status IN ('waiting', 'started', 'succeeded', 'failed_again', 'waiting_manual', 'ended', 'skipped')",
            name=op.f("ck_bulk_retry_items_status_word"),
        ),
        sa.CheckConstraint(
            "skip_reason IN ('not_failed', 'replaced', 'stale', 'needs_confirmation', 'in_another', 'stopped', "
            "'probe_failed', 'refused')",
            name=op.f("ck_bulk_retry_items_skip_reason_word"),
        ),
        sa.CheckConstraint(
            "(status = 'skipped') = (skip_reason IS NOT NULL)",
            name=op.f("ck_bulk_retry_items_skipped_for_a_reason"),
        ),
        sa.CheckConstraint(
            "(status IN ('waiting', 'skipped')) = (started_at IS NULL)",
            name=op.f("ck_bulk_retry_items_started_when_retried"),
        ),
        sa.ForeignKeyConstraint(
            ["bulk_retry_id"], ["bulk_retries.id"], name=op.f("fk_bulk_retry_items_bulk_retry_id_bulk_retries")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_bulk_retry_items_run_id_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_retry_items")),
        sa.UniqueConstraint(
            "bulk_retry_id", "position", name=op.f("uq_bulk_retry_items_bulk_retry_id_position")
        ),
        sa.UniqueConstraint(
            "bulk_retry_id", "run_id", name=op.f("uq_bulk_retry_items_bulk_retry_id_run_id")
        ),
    )
    for name, column, holds in (
        ("uq_bulk_retry_items_open_run", "run_id", sa.text(_OPEN_ITEM)),
        ("uq_bulk_retry_items_probe", "bulk_retry_id", sa.text(_PROBING)),
    ):
        op.create_index(
            name, "bulk_retry_items", [column], unique=True, sqlite_where=holds, postgresql_where=holds
        )
    _refuse(
        "bulk_retries_status",
        "bulk_retries",
        "UPDATE",
        f"OLD.status <> NEW.status AND NOT ({_allowed(JOB_MOVES)})",
        "A bulk retry cannot go from that status to this one.",
    )
    _refuse(
        "bulk_retry_items_status",
        "bulk_retry_items",
        "UPDATE",
        f"OLD.status <> NEW.status AND NOT ({_allowed(ITEM_MOVES)})",
        "A run has one outcome in a bulk retry.",
    )
    _refuse(
        "bulk_retry_items_identity",
        "bulk_retry_items",
        "UPDATE",
        "OLD.bulk_retry_id <> NEW.bulk_retry_id OR OLD.run_id <> NEW.run_id OR OLD.position <> NEW.position",
        "A bulk retry keeps its runs and their order.",
    )
    for table in ("bulk_retries", "bulk_retry_items"):
        _refuse(f"{table}_kept", table, "DELETE", "1 = 1", "Bulk retries are never deleted.")


def downgrade() -> None:
    op.drop_table("bulk_retry_items")
    op.drop_table("bulk_retries")


def _allowed(moves: dict[str, tuple[str, ...]]) -> str:
    return " OR ".join(
        f"(OLD.status = '{before}' AND NEW.status = '{after}')"
        for before, afters in moves.items()
        for after in afters
    )


def _refuse(name: str, table: str, event: str, condition: str, message: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        act = f"EXECUTE FUNCTION refuse_change('{message}')"
    else:
        act = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW WHEN ({condition}) {act}")
