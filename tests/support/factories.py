"""Records for tests: keyword overrides over sensible values. Rows are added and flushed, never committed."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from app.models import Application, Connection, Group, GroupMember, Role, User, Workflow, WorkflowVersion
from app.queries.workflow_versions import forget_definitions

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Row = TypeVar("Row")
_numbers = itertools.count(1)


def make_user(session: Session, role: str = "viewer", **overrides: Any) -> User:
    number = next(_numbers)
    kind = session.scalars(select(Role).where(Role.kind == role)).one()
    values: dict[str, Any] = {
        "email": f"person{number}@example.org",
        "first_name": "Ada",
        "last_name": f"Person{number}",
        "username": f"person{number}",
        "employee_id": f"E-{number}",
        "created_at": NOW,
    }
    return _added(session, User(role_id=kind.id, **values | overrides))


def make_group(session: Session, *members: User, **overrides: Any) -> Group:
    group = _added(session, Group(**{"name": f"Group {next(_numbers)}", "created_at": NOW} | overrides))
    session.add_all(GroupMember(group_id=group.id, user_id=one.id) for one in members)
    session.flush()
    return group


def make_application(session: Session, **overrides: Any) -> Application:
    return _added(
        session, Application(**{"name": f"Application {next(_numbers)}", "created_at": NOW} | overrides)
    )


def make_connection(session: Session, application: Application, **overrides: Any) -> Connection:
    values: dict[str, Any] = {
        "type": "http",
        "name": f"Connection {next(_numbers)}",
        "config": {"base_url": "https://target.example", "auth": "none", "timeout_seconds": 5},
        "created_at": NOW,
        "changed_at": NOW,
    }
    return _added(session, Connection(application_id=application.id, **values | overrides))


def http_step(key: str = "create", connection_id: int | str = "1", **overrides: Any) -> dict[str, Any]:
    """A POST that is not idempotent, in the API's form."""
    return {
        "key": key,
        "name": key.capitalize(),
        "type": "http",
        "connection_id": str(connection_id),
        "method": "POST",
        "path": "/Users",
        "body": {"userName": "{{ grantee.email }}"},
    } | overrides


def human_step(key: str = "ask", **overrides: Any) -> dict[str, Any]:
    return {
        "key": key,
        "type": "human",
        "prompt": "Which team for {{ grantee.first_name }}?",
        "fields": [{"name": "team", "label": "Team", "type": "text", "required": True}],
        "assignee": {"anyone": True},
    } | overrides


def make_workflow(
    session: Session,
    application: Application,
    *steps: dict[str, Any],
    trigger: str = "access_granted",
    **overrides: Any,
) -> Workflow:
    """An enabled workflow; with steps, one version of them."""
    default = "each_grant" if trigger == "access_granted" else "last_active_grant"
    values: dict[str, Any] = {
        "name": f"Workflow {next(_numbers)}",
        "policy": default,
        "is_enabled": True,
        "created_at": NOW,
    }
    workflow = _added(session, Workflow(application_id=application.id, trigger=trigger, **values | overrides))
    if steps:
        add_version(session, workflow, *steps)
    return workflow


def add_version(session: Session, workflow: Workflow, *steps: dict[str, Any]) -> WorkflowVersion:
    """The workflow's next version."""
    version = _added(
        session,
        WorkflowVersion(
            workflow_id=workflow.id,
            number=workflow.version_number + 1,
            steps=list(steps),
            created_at=NOW,
            created_by="Test",
        ),
    )
    workflow.version_id, workflow.version_number = version.id, version.number
    workflow.step_count = len(steps)
    session.flush()
    return version


def damage_versions(session: Session, steps: Any, *, version_id: int | None = None) -> None:
    """Put `steps` into every stored version, or that one, past the trigger that keeps them as saved; committed."""
    session.commit()
    is_postgres = session.get_bind().dialect.name == "postgresql"
    past = (
        "SET LOCAL session_replication_role = replica"
        if is_postgres
        else "DROP TRIGGER IF EXISTS workflow_versions_fixed"
    )
    session.execute(text(past))
    meant = [] if version_id is None else [WorkflowVersion.id == version_id]
    session.execute(update(WorkflowVersion).where(*meant).values(steps=steps))
    session.commit()
    forget_definitions()


def _added(session: Session, row: Row) -> Row:
    session.add(row)
    session.flush()
    return row
