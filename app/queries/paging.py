"""How a list is cut to a page: rows by number or by name, from a neighbour on.

`before` reads on behind that row, in the order of the list; `after` reads backwards from it, so that the rows
come the other way round.  A caller that wants to know whether there is more asks for one row too many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.schemas.kinds import MAX_ID

Rows = TypeVar("Rows", bound=Select[*tuple[Any, ...]])

# More matches than this and nearly every page of a list holds some: then the list itself is walked.
_FEW = 200


def page_by_number(
    statement: Rows,
    key: InstrumentedAttribute[int],
    before: int | None,
    after: int | None,
    *,
    rising: bool = False,
) -> Rows:
    """`statement` newest first, or with `rising` oldest first, from the neighbour on. `before` wins over `after`."""
    backwards = after is not None and before is None
    neighbour = after if backwards else before
    upwards = rising != backwards
    if neighbour is not None:
        neighbour = min(neighbour, MAX_ID)
        statement = statement.where(key > neighbour if upwards else key < neighbour)
    return statement.order_by(key if upwards else key.desc())


def page_by_name(
    statement: Rows,
    name: InstrumentedAttribute[str],
    key: InstrumentedAttribute[int],
    before: int | None,
    after: int | None,
) -> Rows:
    """`statement` in the order of `name`, from the neighbour with this number on, whose name is read anew."""
    lowered = func.lower(name)
    backwards = after is not None
    neighbour = after if backwards else before
    if neighbour is not None:
        its_name = select(func.lower(name)).where(key == neighbour).scalar_subquery()
        here, there = tuple_(lowered, key), tuple_(its_name, neighbour)
        statement = statement.where(here < there if backwards else here > there)
    if backwards:
        return statement.order_by(lowered.desc(), key.desc())
    return statement.order_by(lowered, key)


def fitting(number: int) -> int:
    """A record's number as the database can compare it; one beyond its range belongs to nothing."""
    return number if 0 < number <= MAX_ID else 0


def few(session: Session, matches: Select[int]) -> Sequence[int] | None:
    """The numbers that match, so that the planner sees they are rare; None for so many that the list is walked."""
    found = session.scalars(matches.limit(_FEW + 1)).all()
    return found if len(found) <= _FEW else None
