"""What is kept with a grant alone, since when a run is told to wait, and new words of failures and of the timeline."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.models.base import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
_CLASSES = (
    "'http_5xx', 'wait', 'http_4xx', 'redirect', 'unexpected_status', 'timeout', 'network', 'tls', "
    "'egress_blocked', 'configuration', 'mapping', 'outcome_unknown', 'worker_lost'"
)
_NEW_CLASSES = "'unexpected_answer', 'wrong_account'"
_ALL_CLASSES = _CLASSES.replace("'timeout'", f"{_NEW_CLASSES}, 'timeout'")
_STATUSES = "'started', 'succeeded', 'failed', 'waiting', 'submitted', 'skipped', 'retried', 'obsolete'"
_ALL_STATUSES = _STATUSES.replace("'skipped'", "'skipped', 'branched'")
_GUARD = "attempts_ended_once"
# Each table with the column whose words are listed, before and after.
_WORDS = (
    ("runs", "failure_class", _CLASSES, _ALL_CLASSES),
    ("attempts", "failure_class", _CLASSES, _ALL_CLASSES),
    ("connection_breakers", "failure_class", _CLASSES, _ALL_CLASSES),
    ("attempts", "status", _STATUSES, _ALL_STATUSES),
)


def upgrade() -> None:
    op.add_column("runs", sa.Column("told_to_wait_at", UtcDateTime()))
    op.add_column("grants", sa.Column("kept", _JSON, nullable=False, server_default="{}"))
    _replace_words([(table, column, before, after) for table, column, before, after in _WORDS])


def downgrade() -> None:
    # What an older console has no word for reads as what it would have called it.
    for table in ("runs", "attempts", "connection_breakers"):
        op.execute(f"UPDATE {table} SET failure_class = 'mapping' WHERE failure_class IN ({_NEW_CLASSES})")
    _without_guard("UPDATE attempts SET status = 'failed' WHERE status = 'branched'")
    _replace_words([(table, column, after, before) for table, column, before, after in _WORDS])
    op.drop_column("grants", "kept")
    op.drop_column("runs", "told_to_wait_at")


def _without_guard(statement: str) -> None:
    """Run what changes the outcome of attempts, which their trigger refuses to everybody else."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        op.execute(f"ALTER TABLE attempts DISABLE TRIGGER {_GUARD}")
        op.execute(statement)
        op.execute(f"ALTER TABLE attempts ENABLE TRIGGER {_GUARD}")
        return
    written = bind.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE name = ?", (_GUARD,)).scalar_one()
    bind.exec_driver_sql(f"DROP TRIGGER {_GUARD}")
    bind.exec_driver_sql(statement)
    bind.exec_driver_sql(written)


def _replace_words(changes: list[tuple[str, str, str, str]]) -> None:
    """On SQLite in the text of the tables, as its manual says: to make them anew would cost what refers to them."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        for table, column, _, after in changes:
            name = op.f(f"ck_{table}_{column}_word")
            op.drop_constraint(name, table, type_="check")
            op.create_check_constraint(name, table, f"{column} IN ({after})")
        return
    version = bind.exec_driver_sql("PRAGMA schema_version").scalar_one()
    bind.exec_driver_sql("PRAGMA writable_schema = ON")
    for table, column, before, after in changes:
        changed = bind.exec_driver_sql(
            "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = ?",
            (f"{column} IN ({before})", f"{column} IN ({after})", table),
        )
        assert changed.rowcount == 1
    bind.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    bind.exec_driver_sql("PRAGMA writable_schema = OFF")
