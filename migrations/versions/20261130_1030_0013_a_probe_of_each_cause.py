"""In a bulk retry of several causes a run of each is tried first."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_PROBE = "uq_bulk_retry_items_probe"


def upgrade() -> None:
    op.add_column("bulk_retry_items", sa.Column("untried_cause", sa.Text()))
    # Jobs that are trying their first run go on as they began: as if all had one cause.
    op.execute(
        "UPDATE bulk_retry_items SET untried_cause = '' WHERE status IN ('waiting', 'started')"
        " AND bulk_retry_id IN (SELECT id FROM bulk_retries WHERE status = 'probing')"
    )
    _index("bulk_retry_id", "untried_cause")


def downgrade() -> None:
    op.execute("UPDATE bulk_retry_items SET is_probe = (1 = 0) WHERE status = 'started'")
    _index("bulk_retry_id")
    op.drop_column("bulk_retry_items", "untried_cause")


def _index(*columns: str) -> None:
    under_way = sa.text("is_probe AND status = 'started'")
    op.drop_index(_PROBE, "bulk_retry_items")
    op.create_index(
        _PROBE,
        "bulk_retry_items",
        list(columns),
        unique=True,
        sqlite_where=under_way,
        postgresql_where=under_way,
    )
