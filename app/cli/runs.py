"""The command line's part for the engine: holding runs back and letting them go on."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from app.clock import now
from app.errors import AppError
from app.permissions import OPERATOR
from app.services import pausing
from app.services.transaction import transaction

engine = AppGroup("engine", help="Hold runs back, and let them go on.")


@engine.command("pause")
@click.argument("reason")
def pause(reason: str) -> None:
    """Begin no further run until they are resumed, for this REASON. Grants are recorded all the same."""
    try:
        with transaction() as session:
            pausing.pause(session, OPERATOR, reason, now=now())
    except AppError as refused:
        raise click.ClickException(refused.message) from None
    click.echo("Runs are paused.")


@engine.command("resume")
def resume() -> None:
    """Let runs go on."""
    try:
        with transaction() as session:
            pausing.resume(session, OPERATOR, now=now())
    except AppError as refused:
        raise click.ClickException(refused.message) from None
    click.echo("Runs go on. What is due is begun within seconds.")
