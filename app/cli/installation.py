"""Commands for the whole installation: its health, its runs, its credentials and its audit trail."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from app.clock import now
from app.extensions import db, keyring
from app.permissions import OPERATOR
from app.queries import checkup
from app.queue import RunQueue
from app.services import credentials, one_time_codes, run_pause
from app.services.audit_chain import verify
from app.services.transaction import transaction


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
        queue_problem=lambda: run_queue.look().problem,
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
    if result.failed:
        raise click.ClickException(f"It could not {', '.join(result.failed)}. The log says why.")


audit = AppGroup("audit", help="The audit trail.")


@audit.command("verify")
def verify_chain() -> None:
    """Check that no entry was changed, removed or put in between; exit 1 naming the first that is not in order."""
    found = verify(db.session())
    if found.is_whole:
        click.echo(f"{found.entries:,} entries, the chain is whole.")
        return
    entry = "The end of the chain" if found.broken is None else f"Entry {found.broken}"
    raise click.ClickException(
        f"{entry} is not in order, after {found.entries:,} entries that are. {found.why}"
    )


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


ROTATED_AT_ONCE = 100


credential = AppGroup("credentials", help="Stored credentials.")


@credential.command("rotate")
def rotate() -> None:
    """Encrypt stored credentials anew under the newest key; may be stopped and started again at any point."""
    keys = keyring()
    sealed = lost = after = 0
    while True:
        with transaction() as session:
            done, gone, after = credentials.rotate_batch(session, keys, after=after, limit=ROTATED_AT_ONCE)
        sealed, lost = sealed + done, lost + gone
        if not after:
            break
        click.echo(f"{sealed} encrypted so far.")
    with transaction() as session:
        for done, gone in (
            credentials.rotate_overrides(session, keys),
            one_time_codes.rotate(session, keys),
        ):
            sealed, lost = sealed + done, lost + gone
    click.echo(f"{sealed} encrypted under key {keys.newest_key_id}, {lost} that no key opens.")
    if lost:
        raise click.ClickException("Keep the older keys, and replace the credentials that no key opens.")
