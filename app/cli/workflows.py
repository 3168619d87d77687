"""The command line's part for workflows: as files, to keep beside other configuration and to carry elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from flask.cli import AppGroup
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.clock import now
from app.domain.states import Trigger
from app.errors import NotFound
from app.extensions import db
from app.models import Application, Workflow
from app.permissions import OPERATOR
from app.schemas.workflow_file import BadFile, decoded
from app.schemas.yaml_text import MAX_BYTES
from app.services.transaction import transaction
from app.services.workflow_files import ImportPlan, export_workflow, import_workflow, plan_import

workflow = AppGroup("workflow", help="Workflows as YAML files.")


@workflow.command("list")
def list_workflows() -> None:
    """Print every workflow: number, application, trigger, newest version, whether it is enabled, name."""
    rows = db.session.execute(
        select(Workflow, Application.name)
        .join(Application, Application.id == Workflow.application_id)
        .where(Workflow.deleted_at.is_(None))
        .order_by(func.lower(Application.name), Workflow.trigger)
    )
    for one, application in rows:
        state = "enabled" if one.is_enabled else "disabled"
        click.echo(
            f"{one.id}\t{application}\t{one.trigger}\tversion {one.version_number}\t{state}\t{one.name}"
        )


@workflow.command("export")
@click.argument("number", type=click.IntRange(1, 2**63 - 1))
@click.option("--version", type=click.IntRange(1, 2**31 - 1), help="Another version than the newest.")
@click.option(
    "--output", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write it there."
)
def export(number: int, version: int | None, output: Path | None) -> None:
    """Print the workflow of that NUMBER (see: workflow list) as YAML, with names instead of ids and no secret."""
    text = export_workflow(db.session(), _live(db.session(), number), version)
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    click.echo(f"Written to {output}.", err=True)


@workflow.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--application", "name", default="", help="Import into this application instead of the file's own."
)
@click.option("--yes", "really", is_flag=True, help="Save; without it only the difference is printed.")
def import_file(file: str, name: str, really: bool) -> None:
    """Print what the workflow in FILE ("-" reads standard input) would change; with --yes, save it.

    A workflow of the same application and trigger gets a new version; otherwise one is added, disabled.
    """
    try:
        text = _text_of(file)
        session = db.session()
        plan = plan_import(session, text, _application(session, name) if name else None)
        for line in _report_lines(plan):
            click.echo(line)
        if not plan.changes_anything:
            return
        if not really:
            click.echo("Nothing is saved: add --yes to save.")
            return
        token = plan.token
        session.rollback()  # what was read is read again, in the transaction that writes
        with transaction() as writing:
            into = _application(writing, name) if name else None
            saved = import_workflow(writing, OPERATOR, text, into, now=now(), token=token)
            number = saved.version.number if saved.version else 0
        click.echo(f"Saved as version {number}." if number else "Saved.")
    except BadFile as refused:
        for problem in refused.problems:
            click.echo(f"{file}: {problem.words}", err=True)
        raise click.ClickException(refused.message) from None


def _report_lines(plan: ImportPlan) -> Iterator[str]:
    """The difference in lines."""
    label = Trigger(plan.data.trigger).label
    if plan.workflow is None:
        yield f"{plan.application.name} gets a workflow for {label}, disabled: {plan.data.name}"
    else:
        state = "enabled" if plan.workflow.is_enabled else "disabled"
        version = f"version {plan.workflow.version_number}"
        yield f"{plan.workflow.name} of {plan.application.name} for {label}, {state}, {version}"
    if plan.other_application:
        yield f"The file is of the application {plan.other_application}."
    for one in plan.settings:
        yield f"  {one.name}: - {one.old}"
        yield f"  {one.name}: + {one.new}"
    for change in plan.changes:
        yield f"  {change.words}"
    for words in plan.warnings:
        yield f"  Warning: {words}"
    if not plan.changes_anything:
        yield "Nothing would change."


def _text_of(file: str) -> str:
    if file == "-":
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with Path(file).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    return decoded(data)


def _live(session: Session, number: int) -> Workflow:
    found = session.get(Workflow, number)
    if found is None or found.deleted_at is not None:
        raise NotFound(f"There is no workflow {number}. See: flask --app wsgi workflow list")
    return found


def _application(session: Session, name: str) -> Application:
    wanted = select(Application).where(func.lower(Application.name) == name.strip().lower())
    found = session.scalars(wanted.limit(1)).first()
    if found is None:
        raise NotFound(f"There is no application “{name}”.")
    return found
