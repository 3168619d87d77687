"""What went wrong, as one line for a person at a terminal."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import click
from sqlalchemy.exc import SQLAlchemyError

from app.errors import AppError, Invalid

P = ParamSpec("P")


R = TypeVar("R")


def plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what a person can be told into one line and exit 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except Invalid as refused:
            messages = [f"{one.field}: {one.message}" for one in refused.errors]
            raise click.ClickException("; ".join(messages) or refused.message) from None
        except AppError as error:
            raise click.ClickException(error.message) from None
        except SQLAlchemyError as error:
            raise click.ClickException(
                f"The database cannot be used ({type(error).__name__}). Run: flask --app wsgi doctor"
            ) from None

    return run
