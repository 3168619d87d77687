"""Audit entries chained by hash; tasks that somebody is on, and that whoever granted may not complete."""

import sqlalchemy as sa
from alembic import op

from app.models.base import Id, Json, UtcDateTime
from app.services.audit_chain import FIELDS, GENESIS, entry_hash

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_AT_ONCE = 1000
_APPEND_ONLY = "The audit trail is append-only."


def upgrade() -> None:
    for name in ("previous_hash", "hash"):
        op.add_column("audit_events", sa.Column(name, sa.String(64), server_default="", nullable=False))
    op.create_table(
        "audit_chain",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("entries", Id, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_audit_chain_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_chain")),
    )
    _drop_trigger("audit_events_fixed", "audit_events")
    _chain_what_is_there()
    _refuse("audit_events_fixed", "audit_events", "UPDATE", "1 = 1", _APPEND_ONLY)
    op.create_index("uq_audit_events_previous_hash", "audit_events", ["previous_hash"], unique=True)
    _refuse("audit_chain_grows", "audit_chain", "UPDATE", "NEW.entries < OLD.entries", _APPEND_ONLY)
    _refuse("audit_chain_kept", "audit_chain", "DELETE", "1 = 1", _APPEND_ONLY)

    op.add_column(
        "manual_tasks",
        sa.Column("granter_may_act", sa.Boolean(), server_default=sa.true(), nullable=False),
    )
    op.add_column("manual_tasks", sa.Column("claimed_by", sa.String(200)))
    op.add_column("manual_tasks", sa.Column("claimed_at", UtcDateTime()))
    op.add_column("manual_tasks", sa.Column("claimed_by_id", Id))
    pending = sa.text("status = 'pending'")
    op.create_index(
        "ix_manual_tasks_asked",
        "manual_tasks",
        ["assignee_user_id", "assignee_group_id", "id"],
        sqlite_where=pending,
        postgresql_where=pending,
    )


def downgrade() -> None:
    op.drop_index("ix_manual_tasks_asked", "manual_tasks")
    for name in ("claimed_by_id", "claimed_at", "claimed_by", "granter_may_act"):
        op.drop_column("manual_tasks", name)
    for name in ("audit_chain_grows", "audit_chain_kept"):
        _drop_trigger(name, "audit_chain")
    op.drop_table("audit_chain")
    op.drop_index("uq_audit_events_previous_hash", "audit_events")
    for name in ("hash", "previous_hash"):
        op.drop_column("audit_events", name)


def _chain_what_is_there() -> None:
    """Hash the entries written so far, in the order of their numbers."""
    connection = op.get_bind()
    types: dict[str, sa.types.TypeEngine[object]] = {"at": UtcDateTime(), "changes": Json}
    names = ("id", *FIELDS, "previous_hash", "hash")
    events = sa.table("audit_events", *(sa.column(name, types.get(name)) for name in names))
    last, count, after = GENESIS, 0, 0
    while True:
        rows = connection.execute(
            sa.select(events).where(events.c.id > after).order_by(events.c.id).limit(_AT_ONCE)
        ).all()
        for row in rows:
            made = entry_hash(last, {name: getattr(row, name) for name in FIELDS})
            connection.execute(
                sa.update(events).where(events.c.id == row.id).values(previous_hash=last, hash=made)
            )
            last, count, after = made, count + 1, row.id
        if len(rows) < _AT_ONCE:
            break
    chain = sa.table("audit_chain", sa.column("id"), sa.column("entries"), sa.column("hash"))
    connection.execute(sa.insert(chain).values(id=1, entries=count, hash=last))


def _on_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _refuse(name: str, table: str, event: str, condition: str, message: str) -> None:
    if _on_postgresql():
        act = f"EXECUTE FUNCTION refuse_change('{message}')"
    else:
        act = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW WHEN ({condition}) {act}")


def _drop_trigger(name: str, table: str) -> None:
    op.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if _on_postgresql() else ""))
