"""The command line's part for stored credentials."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from app.extensions import keyring
from app.services import credentials, one_time_codes
from app.services.transaction import transaction

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
