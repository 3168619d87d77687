"""Alerts: matters that open and close, messages about them, their deliveries, and everybody's bell."""

import sqlalchemy as sa
from alembic import op

from app.models.base import Id, Json, UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_OPEN = sa.text("closed_at IS NULL")
_PENDING = sa.text("status = 'pending'")
_WEBHOOK = sa.text("channel = 'webhook'")
_UNREAD = sa.text("read_at IS NULL")
_KINDS = (
    "'failures', 'revoke_failed', 'connection_parked', 'worker_lost', 'task_assigned', 'tasks_waiting', "
    "'task_due_soon', 'task_overdue', 'grant_expires', 'digest', 'test'"
)


def guards() -> list[tuple[str, str, str, str]]:
    """Name, table, condition and message of the updates that are refused."""
    return [
        ("alerts_closed_once", "alerts", "OLD.closed_at IS NOT NULL", "An alert closes once."),
        ("alert_messages_fixed", "alert_messages", "1 = 1", "What was told does not change."),
        (
            "alert_deliveries_once",
            "alert_deliveries",
            "OLD.status <> 'pending' AND OLD.status <> NEW.status",
            "A delivery has one outcome.",
        ),
    ]


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", Id, nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("subject", sa.String(length=500), nullable=False),
        sa.Column("about_id", Id),
        sa.Column("about_at", UtcDateTime()),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("path", sa.String(length=2048), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("permission", sa.String(length=30)),
        sa.Column("user_id", Id),
        sa.Column("group_id", Id),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("gone_since", UtcDateTime()),
        sa.Column("closed_at", UtcDateTime()),
        sa.CheckConstraint(f"kind IN ({_KINDS})", name=op.f("ck_alerts_kind_word")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_alerts_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index(
        "ix_alerts_about", "alerts", ["kind", "about_id"], sqlite_where=_OPEN, postgresql_where=_OPEN
    )
    op.create_index("ix_alerts_closed_at", "alerts", ["closed_at"])
    op.create_index("ix_alerts_opened_at", "alerts", ["opened_at"])
    op.create_index(
        "uq_alerts_open",
        "alerts",
        ["kind", "subject"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )

    op.create_table(
        "alert_messages",
        sa.Column("id", Id, nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("alert_id", Id),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("transition", sa.String(length=40), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("lines", Json, nullable=False),
        sa.Column("path", sa.String(length=2048), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(f"kind IN ({_KINDS})", name=op.f("ck_alert_messages_kind_word")),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_messages_alert_id_alerts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_messages")),
        sa.UniqueConstraint("alert_id", "transition", name=op.f("uq_alert_messages_alert_id_transition")),
        sa.UniqueConstraint("uid", name=op.f("uq_alert_messages_uid")),
    )
    op.create_index("ix_alert_messages_created_at", "alert_messages", ["created_at"])

    op.create_table(
        "alert_deliveries",
        sa.Column("id", Id, nullable=False),
        sa.Column("message_id", Id, nullable=False),
        sa.Column("alert_id", Id),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("user_id", Id),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("held_until", UtcDateTime()),
        sa.Column("uncertain", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.Text()),
        sa.Column("tried_at", UtcDateTime()),
        sa.Column("delivered_at", UtcDateTime()),
        sa.CheckConstraint(
            "(channel = 'webhook') = (user_id IS NULL)", name=op.f("ck_alert_deliveries_addressee")
        ),
        sa.CheckConstraint(
            "(status = 'delivered') = (delivered_at IS NOT NULL)", name=op.f("ck_alert_deliveries_delivered")
        ),
        sa.CheckConstraint("channel IN ('mail', 'webhook')", name=op.f("ck_alert_deliveries_channel_word")),
        sa.CheckConstraint(
            "status IN ('pending', 'delivered', 'failed')", name=op.f("ck_alert_deliveries_status_word")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["alert_messages.id"],
            name=op.f("fk_alert_deliveries_message_id_alert_messages"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_alert_deliveries_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_deliveries")),
        sa.UniqueConstraint(
            "message_id", "channel", "user_id", name=op.f("uq_alert_deliveries_message_id_channel_user_id")
        ),
    )
    op.create_index(
        "ix_alert_deliveries_pending",
        "alert_deliveries",
        ["channel", "due_at"],
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )
    op.create_index(
        "uq_alert_deliveries_webhook",
        "alert_deliveries",
        ["message_id"],
        unique=True,
        sqlite_where=_WEBHOOK,
        postgresql_where=_WEBHOOK,
    )

    op.create_table(
        "alert_notices",
        sa.Column("message_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("read_at", UtcDateTime()),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["alert_messages.id"],
            name=op.f("fk_alert_notices_message_id_alert_messages"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_alert_notices_user_id_users")),
        sa.PrimaryKeyConstraint("message_id", "user_id", name=op.f("pk_alert_notices")),
    )
    op.create_index(
        "ix_alert_notices_unread",
        "alert_notices",
        ["user_id", "message_id"],
        sqlite_where=_UNREAD,
        postgresql_where=_UNREAD,
    )
    op.create_index("ix_alert_notices_user", "alert_notices", ["user_id", "message_id"])

    op.add_column("workers", sa.Column("left_at", UtcDateTime()))
    # Those of the version before could not say that they left, and nobody is to be told that they are lost.
    op.execute("UPDATE workers SET left_at = seen_at")
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    for name, table, condition, message in guards():
        if on_postgresql:
            act = f"EXECUTE FUNCTION refuse_change('{message}')"
        else:
            act = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        op.execute(f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({condition}) {act}")


def downgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    for name, table, *_rest in guards():
        op.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if on_postgresql else ""))
    op.drop_column("workers", "left_at")

    op.drop_index("ix_alert_notices_user", "alert_notices")
    op.drop_index("ix_alert_notices_unread", "alert_notices")

    op.drop_table("alert_notices")
    op.drop_index("uq_alert_deliveries_webhook", "alert_deliveries")
    op.drop_index("ix_alert_deliveries_pending", "alert_deliveries")

    op.drop_table("alert_deliveries")
    op.drop_index("ix_alert_messages_created_at", "alert_messages")

    op.drop_table("alert_messages")
    op.drop_index("uq_alerts_open", "alerts")
    op.drop_index("ix_alerts_opened_at", "alerts")
    op.drop_index("ix_alerts_closed_at", "alerts")
    op.drop_index("ix_alerts_about", "alerts")

    op.drop_table("alerts")
