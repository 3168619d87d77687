"""Many things to do, each on its own: what cannot be done keeps nothing else waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from app.errors import Conflict
from app.extensions import db
from app.services.advance.write_plan import LostRace

Thing = TypeVar("Thing")


def one_by_one(things: Iterable[Thing], act: Callable[[Thing], object]) -> list[Exception]:
    """Do `act` with each; what came of those that failed. Where somebody was faster there is nothing left to do.

    A race that is lost twice is none: the row is not as it must be, and nobody is faster.

    Raises what `act` raised once the database is away: nothing else could be done either.  Needs an application
    context.
    """
    problems: list[Exception] = []
    for thing in things:
        problem = _tried(act, thing)
        if isinstance(problem, LostRace):
            problem = _tried(act, thing)
        if problem is not None:
            problems.append(problem)
    return problems


def _tried(act: Callable[[Thing], object], thing: Thing) -> Exception | None:
    try:
        act(thing)
    except Conflict:
        return None
    except Exception as problem:
        if is_outage(problem):
            raise
        return problem
    return None


def is_outage(problem: Exception) -> bool:
    """Whether `problem` came up because the database does not answer; asks it."""
    if not isinstance(problem, SQLAlchemyError):
        return False
    db.session.rollback()
    try:
        with db.engine.connect() as connection:
            connection.execute(select(1))
    except SQLAlchemyError:
        return True
    return False
