"""`flask demo`: what `make demo` does, as a command beside the others."""

from __future__ import annotations

import sys

import click
from flask import Flask


def register(app: Flask) -> None:
    """Add the command to `app`."""
    app.cli.add_command(demo)


@click.command("demo")
def demo() -> None:
    """Do the main job once on a console of its own, and exit 0 only if the outside agrees with the grants."""
    from app.local.demo.__main__ import main  # here, so that no other command loads the supervisor

    sys.exit(main())
