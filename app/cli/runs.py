"""The command line's part for runs: holding runs back and letting them go on."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from app.clock import now
from app.permissions import OPERATOR
from app.services import run_pause
from app.services.transaction import transaction

engine = AppGroup("engine", help="Hold runs back, and let them go on.")


@engine.command("pause")
@click.argument("reason")
def pause(reason: str) -> None:
    """Begin no further run until they are resumed, for this REASON. Grants are recorded all the same."""
    with transaction() as session:
        run_pause.pause(session, OPERATOR, reason, now=now())
    click.echo("Runs are paused.")


@engine.command("resume")
def resume() -> None:
    """Let runs go on."""
    with transaction() as session:
        run_pause.resume(session, OPERATOR, now=now())
    click.echo("Runs go on. What is due is begun within seconds.")
