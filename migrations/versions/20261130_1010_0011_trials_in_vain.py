"""Trials of a parked connection that fail although its health path answers, and outages that nobody saw."""

import sqlalchemy as sa
from alembic import op

from app.models.base import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connection_breakers", sa.Column("last_parked_at", UtcDateTime()))
    op.add_column("connection_breakers", sa.Column("vain", sa.Integer(), server_default="0", nullable=False))
    op.execute("UPDATE connection_breakers SET last_parked_at = parked_at")


def downgrade() -> None:
    op.drop_column("connection_breakers", "vain")
    op.drop_column("connection_breakers", "last_parked_at")
