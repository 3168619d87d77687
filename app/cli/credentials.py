"""The command line's part for stored credentials."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup

from app.crypto import KeyRing
from app.services import credentials, one_time_codes
from app.services.transaction import transaction

ROTATED_AT_ONCE = 100


credential = AppGroup("credentials", help="Stored credentials.")


@credential.command("rotate")
def rotate() -> None:
    """Encrypt stored credentials anew under the newest key; may be stopped and started again at any point."""
    keyring: KeyRing = current_app.extensions["keyring"]
    sealed = lost = after = 0
    while True:
        with transaction() as session:
            done, gone, after = credentials.rotate_batch(session, keyring, after=after, limit=ROTATED_AT_ONCE)
        sealed, lost = sealed + done, lost + gone
        if not after:
            break
        click.echo(f"{sealed} encrypted so far.")
    with transaction() as session:
        for done, gone in (
            credentials.rotate_overrides(session, keyring),
            one_time_codes.rotate(session, keyring),
        ):
            sealed, lost = sealed + done, lost + gone
    click.echo(f"{sealed} encrypted under key {keyring.newest_key_id}, {lost} that no key opens.")
    if lost:
        raise click.ClickException("Keep the older keys, and replace the credentials that no key opens.")
