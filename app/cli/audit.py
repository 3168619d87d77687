"""The command line's part for the audit trail."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from app.extensions import db
from app.services.audit_chain import verify

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
