"""The command line's part for the whole installation."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext

from app.clock import now
from app.extensions import db, keyring
from app.queries import checkup
from app.queue import RunQueue


@click.command("doctor")
@with_appcontext
def doctor() -> None:
    """Check settings, database, Redis, keys and workers; exit 1 with what to do when something is wrong."""
    run_queue: RunQueue = current_app.extensions["run_queue"]
    keys = keyring()
    found = checkup.checkup(
        db.session(),
        current_app.extensions["settings"],
        key_ids=keys.key_ids,
        redis_answers=run_queue.is_reachable,
        now=now(),
    )
    for one in found:
        click.echo(f"{'ok  ' if one.ok else 'FAIL'}  {one.part:<15} {one.message}")
    broken = [one.part for one in found if not one.ok]
    if broken:
        raise click.ClickException(f"Look at: {', '.join(broken)}.")


@click.command("sweep")
@with_appcontext
def sweep() -> None:
    """One pass over lost work, due runs, expired grants, parked connections and alerts."""
    from app.workers.mailer import deliver_due
    from app.workers.sweeper import sweep_and_probe  # here, so that a web process never loads a worker

    app = current_app._get_current_object()  # type: ignore[attr-defined]
    result = sweep_and_probe(app)
    click.echo(
        f"{result.taken_back} taken back from lost workers, {result.notified} due runs notified, "
        f"{result.expired} expired grants revoked, {len(result.to_probe)} parked connections probed, "
        f"{result.going_on} runs that waited for one go on, {result.told} alerts written, "
        f"{deliver_due(app)} delivered."
    )
