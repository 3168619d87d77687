"""Workflows as files: written out by name, and read back after showing what that would change."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from app.domain.states import Trigger
from app.domain.steps.scope import Names
from app.domain.workflows.definition import Definition, canonical, parse_definition, to_json
from app.domain.workflows.diff import Change, diff_definitions
from app.errors import Conflict, FieldError, Invalid
from app.models import Application, Connection, Group, User, Workflow
from app.permissions import Actor
from app.queries.workflow_scope import check, names_for
from app.queries.workflow_versions import read_newest, saved_definition
from app.schemas.base import parse
from app.schemas.workflow_file import (
    BadFile,
    FileProblem,
    Head,
    WorkflowFile,
    named,
    read_file,
    with_ids,
    write_file,
)
from app.schemas.workflows import POLICY_FIELDS, VersionIn, WorkflowIn, WorkflowPatch
from app.services.workflows import Saved, change_workflow, create_workflow, save_version

NOTE = "Imported from a file."


@dataclass(frozen=True, slots=True)
class SettingChange:
    """What the import would change beside the steps."""

    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What importing a file would do. `workflow` is the one that it changes, None when it adds one.

    `token` stands for the file and for how things are; `warnings` are those of saving.
    """

    application: Application
    workflow: Workflow | None
    data: WorkflowIn
    old: Definition
    new: Definition
    names: Names
    settings: Sequence[SettingChange]
    warnings: Sequence[str]
    other_application: str
    token: str
    saved_before: bool = False

    @property
    def changes(self) -> list[Change]:
        """What differs in the steps."""
        return diff_definitions(self.old, self.new, self.names)

    @property
    def changes_steps(self) -> bool:
        return canonical(self.old) != canonical(self.new)

    @property
    def changes_anything(self) -> bool:
        return self.workflow is None or bool(self.settings) or self.changes_steps


def export_workflow(session: Session, workflow: Workflow, version: int | None = None) -> str:
    """The newest or another version as YAML.

    Raises NotFound for no such version; Conflict when a step names what is gone.
    """
    number = version if version is not None else workflow.version_number
    definition = saved_definition(session, workflow, number) if number else Definition()
    application = session.get_one(Application, workflow.application_id)
    head = Head(application.name, workflow.name, workflow.trigger, workflow.policy, workflow.description)
    return write_file(head, definition, names_for(session, application.id, [definition]))


def plan_import(session: Session, text: str, application: Application | None = None) -> ImportPlan:
    """What importing `text` would do, into the application that it names unless another is given.

    Raises BadFile, which names the line of each problem; Conflict for an archived application.
    """
    file = read_file(text)
    into = application or _application_called(session, file)
    if into.archived_at is not None:
        raise Conflict(f"{into.name} is archived. Restore it first.")
    data = _data(file)
    steps = with_ids(file, _records_called(session, into, file))
    definition, problems = parse_definition(steps)
    if definition is None:
        raise BadFile([file.problem(one.field, one.message) for one in problems])
    workflow = _live(session, into, data.trigger)
    try:
        checked = workflow or Workflow(application_id=into.id, trigger=data.trigger)
        found = (
            check(session, checked, definition, saved_before=file.saved_before) if definition.steps else []
        )
        warnings = [one.message for one in found]
    except Invalid as refused:
        raise file.refuse(refused) from None
    old = read_newest(session, workflow).definition if workflow is not None else Definition()
    return ImportPlan(
        application=into,
        workflow=workflow,
        data=data,
        old=old,
        new=definition,
        names=names_for(session, into.id, [old, definition]),
        settings=_settings(workflow, data),
        warnings=warnings,
        other_application="" if file.application.lower() == into.name.lower() else file.application,
        token=_token(into, workflow, text),
        saved_before=file.saved_before,
    )


def import_workflow(
    session: Session,
    actor: Actor,
    text: str,
    application: Application | None = None,
    *,
    now: datetime,
    token: str | None = None,
) -> Saved:
    """Do what `plan_import` shows: change the workflow of that trigger, or add a disabled one.

    Raises what `plan_import` raises; Conflict when `token` is no longer the plan's.
    """
    plan = plan_import(session, text, application)
    if token is not None and token != plan.token:
        raise Conflict("The file or the workflow has changed since this was shown. Look again, then import.")
    steps = to_json(plan.new)
    if plan.workflow is None:
        wanted = plan.data.model_copy(update={"steps": steps or None})
        return create_workflow(
            session, actor, plan.application, wanted, now=now, saved_before=plan.saved_before
        )
    given = {one.name: one.new for one in plan.settings}
    if given:
        change_workflow(session, actor, plan.workflow, parse(WorkflowPatch, given), now=now)
    data = VersionIn(steps=steps, note=NOTE, based_on=plan.workflow.version_number)
    return save_version(session, actor, plan.workflow, data, now=now, saved_before=plan.saved_before)


def _data(file: WorkflowFile) -> WorkflowIn:
    """The settings as they would be sent, with the trigger's default for a policy that is left out."""
    given = dict(file.settings)
    policy = given.pop("policy", None)
    trigger = given.get("trigger")
    field = next((name for one, name in POLICY_FIELDS.items() if one.value == trigger), "")
    try:
        return parse(WorkflowIn, {**given, **({field: policy} if field and policy is not None else {})})
    except Invalid as refused:
        errors = [
            FieldError("policy" if one.field in POLICY_FIELDS.values() else one.field, one.message)
            for one in refused.errors
        ]
        raise file.refuse(Invalid(refused.message, errors)) from None


def _application_called(session: Session, file: WorkflowFile) -> Application:
    name = file.application.strip()
    wanted = select(Application).where(
        or_(Application.name == name, func.lower(Application.name) == name.lower())
    )
    found = session.scalars(wanted.limit(1)).first() if name else None
    if found is None:
        message = f"There is no application “{name[:200]}”." if name else "Name the application."
        raise BadFile([FileProblem(file.document.line_of("application"), "application", message)])
    return found


def _records_called(session: Session, application: Application, file: WorkflowFile) -> Names:
    """The application's connections, and the active people and the groups that the file names."""
    wanted = named(file)
    connections = select(Connection.id, Connection.name).where(Connection.application_id == application.id)
    emails = select(User.id, User.email).where(User.email.in_(_folded(wanted.users)))
    groups = select(Group.id, Group.name).where(
        or_(Group.name.in_(wanted.groups), func.lower(Group.name).in_(_folded(wanted.groups)))
    )
    return Names(
        connections={str(number): name for number, name in session.execute(connections)},
        users={str(number): email for number, email in session.execute(emails)} if wanted.users else {},
        groups={str(number): name for number, name in session.execute(groups)} if wanted.groups else {},
    )


def _folded(names: Iterable[str]) -> list[str]:
    return [one.strip().lower() for one in names]


def _live(session: Session, application: Application, trigger: str) -> Workflow | None:
    return session.scalars(
        select(Workflow).where(
            Workflow.application_id == application.id,
            Workflow.trigger == trigger,
            Workflow.deleted_at.is_(None),
        )
    ).one_or_none()


def _settings(workflow: Workflow | None, data: WorkflowIn) -> list[SettingChange]:
    if workflow is None:
        return []
    policy = POLICY_FIELDS[Trigger(workflow.trigger)]
    pairs = (
        ("name", workflow.name, data.name),
        ("description", workflow.description, data.description),
        (policy, workflow.policy, data.policy.value),
    )
    return [SettingChange(name, old, new) for name, old, new in pairs if old != new]


def _token(application: Application, workflow: Workflow | None, text: str) -> str:
    parts: list[object] = [application.id, " ".join(text.split())]  # a form changes the ends of lines
    if workflow is not None:
        parts += [workflow.id, workflow.version_number, workflow.name, workflow.policy, workflow.description]
    return hashlib.sha256(repr(parts).encode("utf-8", "replace")).hexdigest()[:32]
