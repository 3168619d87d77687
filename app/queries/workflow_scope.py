"""The records around a workflow's definition, as the engine's checks want them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.connectors.capture import check_source
from app.domain.json_reader import Problem
from app.domain.states import Trigger
from app.domain.steps.scope import Kept, Names, ScopeInfo
from app.domain.workflows.checks import check_definition
from app.domain.workflows.definition import Definition
from app.errors import FieldError, Invalid
from app.models import Connection, ExternalAccount, Group, User, Workflow, WorkflowVersion
from app.queries.workflow_versions import ReadVersion, read_steps
from app.schemas.kinds import record_ids

# Enough recent accounts to know what this application's workflows capture; reading all would grow for ever.
_ACCOUNTS_LOOKED_AT = 50


def check(
    session: Session, workflow: Workflow, definition: Definition, *, saved_before: bool = False
) -> list[Problem]:
    """The warnings about a definition; raises Invalid with every error, named by step and field."""
    info = replace(scope_info(session, workflow, definition), saved_before=saved_before)
    found = check_definition(definition, info)
    errors = [FieldError(one.field, one.message) for one in found if one.severity == "error"]
    if errors:
        raise Invalid("The steps cannot be saved.", errors)
    return found


def scope_info(session: Session, workflow: Workflow, definition: Definition) -> ScopeInfo:
    """What the definition may refer to: connections, people, groups, and captured names."""
    application_id = workflow.application_id
    connections = session.execute(
        select(Connection.id, Connection.type).where(Connection.application_id == application_id)
    )
    humans = [who for step in definition.steps for who in step.assignees]
    users = record_ids(one.user_id for one in humans)
    groups = record_ids(one.group_id for one in humans)
    saved = _saved(session, application_id)
    revoke = saved.get(Trigger.ACCESS_REVOKED)
    return ScopeInfo(
        connections={str(one): kind for one, kind in connections},
        user_ids=_texts(session.scalars(select(User.id).where(User.id.in_(users), User.is_active)))
        if users
        else (),
        group_ids=_texts(session.scalars(select(Group.id).where(Group.id.in_(groups)))) if groups else (),
        account_names=_names_in(saved.get(Trigger.ACCESS_GRANTED)) | _known_names(session, application_id),
        trigger=Trigger(workflow.trigger),
        answers_revoke=revoke is not None and bool(revoke.problem or revoke.definition.steps),
        kept_names=frozenset(name for name, place in _kept_by(saved.values()) if place == "grant"),
        kept_elsewhere=_kept_by(one for trigger, one in saved.items() if trigger != workflow.trigger),
        capture_problem=check_source,
    )


def _saved(session: Session, application_id: int) -> dict[Trigger, ReadVersion]:
    """What the newest versions of the application's live workflows say: there is one for each trigger at most."""
    rows = session.execute(
        select(Workflow.trigger, WorkflowVersion.number, WorkflowVersion.steps)
        .join(WorkflowVersion, Workflow.version_id == WorkflowVersion.id)
        .where(Workflow.application_id == application_id, Workflow.deleted_at.is_(None))
    )
    return {Trigger(row.trigger): read_steps(row.number, row.steps) for row in rows}


def _names_in(saved: ReadVersion | None) -> frozenset[str]:
    """What the steps capture for the account."""
    steps = saved.definition.steps if saved is not None else ()
    return frozenset(rule.name for one in steps for rule in one.keeps if rule.keep == "account")


def _kept_by(others: Iterable[ReadVersion]) -> dict[Kept, bool]:
    """What the steps of the application's other workflows keep, each with whether all say that it is the same."""
    found: dict[Kept, bool] = {}
    for rule in (rule for one in others for step in one.definition.steps for rule in step.keeps):
        kept = (rule.name, rule.keep or "")
        found[kept] = rule.same and found.get(kept, True)
    return found


def _known_names(session: Session, application_id: int) -> frozenset[str]:
    """What has been captured lately for anybody on the application."""
    accounts = session.scalars(
        select(ExternalAccount.captured)
        .where(ExternalAccount.application_id == application_id)
        .order_by(ExternalAccount.id.desc())
        .limit(_ACCOUNTS_LOOKED_AT)
    )
    return frozenset(name for captured in accounts for name in captured)


def _texts(ids: Iterable[int]) -> frozenset[str]:
    return frozenset(str(one) for one in ids)


def names_for(session: Session, application_id: int, definitions: Sequence[Definition]) -> Names:
    """The connections of the application, and the people (by email) and groups that the steps name.

    At most three statements; a record that is gone is left out.
    """
    assignees = [who for one in definitions for step in one.steps for who in step.assignees]
    users = record_ids(one.user_id for one in assignees)
    groups = record_ids(one.group_id for one in assignees)
    connections = select(Connection.id, Connection.name).where(Connection.application_id == application_id)
    people = select(User.id, User.email).where(User.id.in_(users))
    named = select(Group.id, Group.name).where(Group.id.in_(groups))
    return Names(
        connections={str(number): name for number, name in session.execute(connections)},
        users={str(number): email for number, email in session.execute(people)} if users else {},
        groups={str(number): name for number, name in session.execute(named)} if groups else {},
    )
