"""Alerts of runs that stand still and of what the sweeper cannot do, and a row for each of the latter."""

import sqlalchemy as sa
from alembic import op

from app.models.base import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_BEFORE = (
    "'failures', 'revoke_failed', 'connection_parked', 'worker_lost', 'task_assigned', 'tasks_waiting', "
    "'task_due_soon', 'task_overdue', 'grant_expires', 'digest', 'test'"
)
_AFTER = _BEFORE.replace("'worker_lost', ", "'worker_lost', 'standstill', ")
_TABLES = ("alerts", "alert_messages")


def upgrade() -> None:
    op.create_table(
        "failing_duties",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("problem", sa.String(200), nullable=False),
        sa.Column("passes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_failing_duties")),
    )
    _replace_kinds(_BEFORE, _AFTER)


def downgrade() -> None:
    # What was told of the new kind is forgotten: an older console could not read it.
    for table in ("alert_messages", "alerts"):
        op.execute(f"DELETE FROM {table} WHERE kind = 'standstill'")
    _replace_kinds(_AFTER, _BEFORE)
    op.drop_table("failing_duties")


def _replace_kinds(before: str, after: str) -> None:
    """On SQLite in the text of the tables, as its manual says: to make them anew would cost what refers to them."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        for table in _TABLES:
            op.drop_constraint(op.f(f"ck_{table}_kind_word"), table, type_="check")
            op.create_check_constraint(op.f(f"ck_{table}_kind_word"), table, f"kind IN ({after})")
        return
    version = bind.exec_driver_sql("PRAGMA schema_version").scalar_one()
    bind.exec_driver_sql("PRAGMA writable_schema = ON")
    for table in _TABLES:
        changed = bind.exec_driver_sql(
            "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = ?",
            (f"kind IN ({before})", f"kind IN ({after})", table),
        )
        assert changed.rowcount == 1
    bind.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    bind.exec_driver_sql("PRAGMA writable_schema = OFF")
