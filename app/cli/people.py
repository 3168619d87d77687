"""The command line's part for people."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import AppGroup

from app.clock import now
from app.extensions import db
from app.permissions import OPERATOR
from app.schemas.people_csv import MAX_BYTES, decoded, lines_of
from app.services import people_import
from app.services.people_import import LineKind, LineOutcome
from app.services.transaction import transaction

people = AppGroup("people", help="The directory.")


@people.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--apply", "really", is_flag=True, help="Save; without it only the report is made.")
def import_people(file: Path, really: bool) -> None:
    """Add and change people from FILE, a CSV file with a header.

    Without --apply nothing is saved. Lines that are refused are named and passed over; the exit is then 1.
    """
    with file.open("rb") as stream:
        lines = lines_of(decoded(stream.read(MAX_BYTES + 1)))
    outcomes = planned = people_import.plan(db.session(), OPERATOR, lines)
    if really:
        done: list[LineOutcome] = []
        for batch in people_import.batches(lines, planned):
            with transaction() as session:
                done += people_import.apply(session, OPERATOR, batch, now=now())
        outcomes = people_import.merged(planned, done)
    for one in outcomes:
        if one.kind is not LineKind.UNCHANGED:
            click.echo(f"line {one.line}\t{one.kind}\t{one.email}\t{'; '.join(one.details)}")
    counts = people_import.counts(outcomes)
    summary = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    click.echo(f"{summary}. {'Saved.' if really else 'Nothing is saved: add --apply to save.'}")
    if counts[LineKind.REFUSED]:
        raise click.ClickException("Some lines are refused; the reasons stand beside them.")
