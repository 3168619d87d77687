"""Whether runs are held back, and a name by which the queue service knows this database."""

import secrets

import sqlalchemy as sa
from alembic import op

from app.models.base import Id, UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = op.create_table(
        "engine_state",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("paused_at", UtcDateTime()),
        sa.Column("paused_by", sa.String(200)),
        sa.Column("paused_because", sa.Text()),
        sa.CheckConstraint("id = 1", name=op.f("ck_engine_state_one_row")),
        sa.CheckConstraint(
            "(paused_at IS NULL) = (paused_because IS NULL)",
            name=op.f("ck_engine_state_paused_for_a_reason"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_engine_state")),
    )
    op.bulk_insert(table, [{"id": 1, "uid": secrets.token_hex(16)}])


def downgrade() -> None:
    op.drop_table("engine_state")
