"""What the database itself refuses, and the three built-in roles."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# From which status to which a run may go.
TRANSITIONS = {
    "queued": ("running", "superseded", "cancelled"),
    "running": ("waiting_manual", "succeeded", "failed", "compensated", "superseded", "cancelled"),
    "waiting_manual": ("running", "failed", "superseded", "cancelled"),
    "failed": ("running", "superseded"),
}


def changed(*columns: str) -> str:
    """SQL that is true when an update changes one of the columns; `<>` made safe for nulls on either database."""
    differs = "IS DISTINCT FROM" if op.get_bind().dialect.name == "postgresql" else "IS NOT"
    return " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in columns)


def allowed_moves() -> str:
    pairs = [
        f"(OLD.status = '{before}' AND NEW.status = '{after}')"
        for before, afters in TRANSITIONS.items()
        for after in afters
    ]
    return " OR ".join(pairs)


def guards() -> list[tuple[str, str, str, str, str]]:
    """Name, table, event, condition and message of everything that is refused."""
    never = "1 = 1"
    return [
        (
            "grants_identity",
            "grants",
            "UPDATE",
            changed("user_id", "application_id", "access_level", "granted_at", "granted_by"),
            "A grant never changes who, what and when; only its notes and expiry may.",
        ),
        (
            "grants_revoked_once",
            "grants",
            "UPDATE",
            f"OLD.revoked_at IS NOT NULL AND ({changed('revoked_at', 'revoked_by')})",
            "A grant is revoked once.",
        ),
        ("grants_kept", "grants", "DELETE", never, "Grants are never deleted."),
        (
            "trigger_decisions_fixed",
            "trigger_decisions",
            "UPDATE",
            changed("grant_id", "trigger", "at", "outcome", "reason")
            + f" OR (OLD.run_id IS NOT NULL AND ({changed('run_id')}))",
            "A decision is not rewritten.",
        ),
        ("trigger_decisions_kept", "trigger_decisions", "DELETE", never, "Decisions are never deleted."),
        (
            "workflows_identity",
            "workflows",
            "UPDATE",
            changed("application_id", "trigger"),
            "A workflow keeps its application and trigger.",
        ),
        (
            "workflow_versions_fixed",
            "workflow_versions",
            "UPDATE",
            never,
            "A version never changes; save a new one.",
        ),
        ("workflow_versions_kept", "workflow_versions", "DELETE", never, "Versions are never deleted."),
        (
            "connections_identity",
            "connections",
            "UPDATE",
            changed("application_id", "type"),
            "A connection keeps its application and type.",
        ),
        (
            "runs_identity",
            "runs",
            "UPDATE",
            changed("uid", "workflow_id", "version_id", "grant_id", "trigger", "sequence"),
            "A run keeps its grant event and version.",
        ),
        (
            "runs_status",
            "runs",
            "UPDATE",
            f"OLD.status <> NEW.status AND NOT ({allowed_moves()})",
            "A run cannot go from that status to this one.",
        ),
        ("runs_kept", "runs", "DELETE", never, "Runs are never deleted."),
        (
            "attempts_ended_once",
            "attempts",
            "UPDATE",
            "OLD.status NOT IN ('started', 'waiting') AND OLD.status <> NEW.status",
            "An attempt has one outcome.",
        ),
        ("attempts_kept", "attempts", "DELETE", never, "Attempts are never deleted."),
        (
            "manual_tasks_once",
            "manual_tasks",
            "UPDATE",
            "OLD.status <> 'pending' AND OLD.status <> NEW.status",
            "A task is acted on once.",
        ),
        ("audit_events_fixed", "audit_events", "UPDATE", never, "The audit trail is append-only."),
        ("audit_events_kept", "audit_events", "DELETE", never, "The audit trail is append-only."),
    ]


def upgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    if on_postgresql:
        op.execute(
            """
            CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'check_violation';
            END $$
            """
        )
    for name, table, event, condition, message in guards():
        if on_postgresql:
            act = f"EXECUTE FUNCTION refuse_change('{message}')"
        else:
            act = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW WHEN ({condition}) {act}"
        )
    roles = sa.table("roles", sa.column("kind"), sa.column("name"), sa.column("permissions", sa.JSON()))
    op.bulk_insert(
        roles,
        [
            {"kind": "admin", "name": "Admin", "permissions": []},
            {"kind": "member", "name": "Member", "permissions": ["grant:read"]},
            {"kind": "viewer", "name": "Viewer", "permissions": []},
        ],
    )


def downgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    for name, table, *_rest in guards():
        op.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if on_postgresql else ""))
    if on_postgresql:
        op.execute("DROP FUNCTION refuse_change()")
    op.execute("DELETE FROM roles")
