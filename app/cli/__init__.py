"""The command line: it opens the transaction, calls a service, prints for a person; errors are one line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import click
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from app.cli import accounts, installation, workflows
from app.database import database_is_away, sqlstate
from app.database_trouble import trouble
from app.errors import AppError, Invalid


def register(app: Flask) -> None:
    """Add the commands to `app`; from here on all that it has, whoever added them, answer in one line."""
    for command in (
        accounts.admin,
        accounts.token,
        installation.credential,
        accounts.directory,
        workflows.workflow,
        installation.audit,
        installation.engine,
        installation.doctor,
        installation.sweep,
    ):
        app.cli.add_command(command)
    for command in app.cli.commands.values():
        # Of the class, not of the command: commands are shared by every app of a process.
        invoke = partial(type(command).invoke, command)
        command.invoke = partial(_plainly, invoke)  # type: ignore[method-assign]


def _plainly(invoke: Callable[[click.Context], Any], context: click.Context) -> Any:
    """Run the command, or the group with its command; what went wrong is one line and exit 1."""
    try:
        return invoke(context)
    except Invalid as refused:
        messages = [f"{one.field}: {one.message}" for one in refused.errors]
        raise click.ClickException("; ".join(messages) or refused.message) from None
    except AppError as error:
        raise click.ClickException(error.message) from None
    except SQLAlchemyError as error:
        if sqlstate(error) and database_is_away(error):
            words = trouble(error)
            raise click.ClickException(f"{words.why} {words.todo}") from None
        raise click.ClickException(
            f"The database cannot be used ({type(error).__name__}). Run: flask --app wsgi doctor"
        ) from None
    except BrokenPipeError:
        raise  # nobody reads on, which click ends quietly
    except OSError as error:
        raise click.ClickException(str(error)) from None
