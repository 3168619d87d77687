"""The command line: it opens the transaction, calls a service, prints for a person; errors are one line."""

from __future__ import annotations

from flask import Flask

from app.cli import audit, commands, people, runs, workflows


def register(app: Flask) -> None:
    """Add the commands to `app`."""
    for command in (
        commands.admin,
        commands.token,
        commands.credential,
        people.people,
        workflows.workflow,
        audit.audit,
        runs.engine,
        commands.doctor,
        commands.sweep,
    ):
        app.cli.add_command(command)
