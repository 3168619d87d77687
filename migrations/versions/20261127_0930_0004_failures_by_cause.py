"""Which connection a run failed at, and indexes of the grants that need somebody."""

import sqlalchemy as sa
from alembic import op

from app.models.base import Id, Json

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_grants_troubled": (["newest_run_id"], "state = 'needs_attention'"),
    "ix_grants_revoke_unfinished": (
        ["revoked_at"],
        "revoked_at IS NOT NULL AND state IN ('deprovisioning', 'waiting', 'needs_attention')",
    ),
    "ix_grants_revoke_without_run": (
        ["application_id", "revoked_at"],
        "revoked_at IS NOT NULL AND state = 'no_automation'"
        " AND state_reason NOT IN ('other_active_grant', 'recorded_only')",
    ),
}


def upgrade() -> None:
    op.add_column("runs", sa.Column("failure_connection_id", Id))
    _fill_in()
    for name, (columns, holds) in _INDEXES.items():
        where = sa.text(holds)
        op.create_index(name, "grants", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name in _INDEXES:
        op.drop_index(name, "grants")
    op.drop_column("runs", "failure_connection_id")


def _fill_in() -> None:
    """Runs that have failed so far: their versions say which connection the failed step uses."""
    connection = op.get_bind()
    names = ("id", "version_id", "failure_step", "failure_connection_id")
    runs = sa.table("runs", *(sa.column(name) for name in names))
    versions = sa.table("workflow_versions", sa.column("id"), sa.column("steps", Json))
    failed = sa.select(runs.c.version_id).where(runs.c.failure_step.is_not(None)).distinct()
    for version_id, steps in connection.execute(
        sa.select(versions.c.id, versions.c.steps).where(versions.c.id.in_(failed))
    ).all():
        for step in steps:
            used = str(step.get("connection_id", ""))
            if used.isascii() and used.isdecimal():
                connection.execute(
                    sa.update(runs)
                    .where(runs.c.version_id == version_id, runs.c.failure_step == step["key"])
                    .values(failure_connection_id=int(used))
                )
