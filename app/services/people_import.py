"""Importing people: what each line of a file would do, and doing it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.errors import AppError, FieldError, Invalid
from app.models import User
from app.permissions import Actor
from app.schemas.base import parse
from app.schemas.people import UserIn, UserPatch
from app.schemas.people_csv import COLUMNS, CsvLine
from app.services import people

# Lines of one transaction: short enough that nobody who saves something else waits for long.
AT_ONCE = 100
_LOOKED_UP_AT_ONCE = 500


class LineKind(StrEnum):
    """What comes of a line."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class LineOutcome:
    """What one line would do, or did. `details` are sentences or changes, in plain text."""

    line: int
    kind: LineKind
    email: str
    details: tuple[str, ...] = ()


def plan(session: Session, actor: Actor, lines: Sequence[CsvLine]) -> list[LineOutcome]:
    """What importing these lines would do, one by one; nothing is written."""
    first_seen = _first_lines(lines)
    found: list[LineOutcome] = []
    for start in range(0, len(lines), _LOOKED_UP_AT_ONCE):
        part = lines[start : start + _LOOKED_UP_AT_ONCE]
        known = _people_of(session, part)
        found += [_planned(session, actor, line, known, first_seen) for line in part]
    return found


def apply(session: Session, actor: Actor, lines: Sequence[CsvLine], *, now: datetime) -> list[LineOutcome]:
    """Import these lines, each of which is saved as a whole or refused by itself.

    Give it the lines of one `batches` entry, so that a transaction stays short.
    """
    known = _people_of(session, lines)
    found = []
    for line in lines:
        outcome = _planned(session, actor, line, known, {})
        if outcome.kind in (LineKind.NEW, LineKind.CHANGED):
            try:
                with session.begin_nested():
                    _write(session, actor, line, known, now)
            except AppError as refused:
                outcome = LineOutcome(line.number, LineKind.REFUSED, outcome.email, _reasons(refused))
        found.append(outcome)
    return found


def batches(lines: Sequence[CsvLine], planned: Sequence[LineOutcome]) -> Iterator[list[CsvLine]]:
    """The lines that the plan did not refuse, in the order of the file, some at a time."""
    kept = [line for line, one in zip(lines, planned, strict=True) if one.kind is not LineKind.REFUSED]
    for start in range(0, len(kept), AT_ONCE):
        yield kept[start : start + AT_ONCE]


def merged(planned: Sequence[LineOutcome], done: Sequence[LineOutcome]) -> list[LineOutcome]:
    """The report of an import: what was done, and what the plan refused."""
    by_line = {one.line: one for one in done}
    return [by_line.get(one.line, one) for one in planned]


def counts(outcomes: Sequence[LineOutcome]) -> dict[LineKind, int]:
    """How many lines came to what."""
    return {kind: sum(one.kind is kind for one in outcomes) for kind in LineKind}


def fingerprint(outcomes: Sequence[LineOutcome]) -> str:
    """Tells one plan from another, so that only what was shown is done."""
    words = "\n".join(f"{one.line} {one.kind} {one.email} {one.details}" for one in outcomes)
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()


def _planned(
    session: Session, actor: Actor, line: CsvLine, known: dict[str, User], first_seen: dict[str, int]
) -> LineOutcome:
    email = line.cells.get("email", "").lower()
    try:
        if line.problem:
            raise Invalid(line.problem)
        earlier = first_seen.get(email, line.number)
        if email and earlier != line.number:
            raise Invalid.field("email", f"Line {earlier} has the same email address.")
        user = known.get(email)
        if user is None:
            data = parse(UserIn, _typed(line))
            people.check_new(session, actor, data.role)
            return LineOutcome(line.number, LineKind.NEW, data.email, (f"role {data.role}",))
        patch = parse(UserPatch, _typed(line))
        changes = _changes(user, patch)
        if changes:
            people.check_change(session, actor, user, patch.given().get("role", user.role.kind))
        return LineOutcome(
            line.number, LineKind.CHANGED if changes else LineKind.UNCHANGED, user.email, changes
        )
    except AppError as refused:
        return LineOutcome(line.number, LineKind.REFUSED, _shown(email), _reasons(refused))


def _write(session: Session, actor: Actor, line: CsvLine, known: dict[str, User], now: datetime) -> None:
    email = line.cells["email"].lower()
    user = known.get(email)
    if user is None:
        known[email] = people.create_user(session, actor, parse(UserIn, _typed(line)), now=now)
    else:
        people.change_user(session, actor, user, parse(UserPatch, _typed(line)), now=now)


def _typed(line: CsvLine) -> dict[str, object]:
    """The cells that say something: an empty one leaves what is stored, so that no half-filled file wipes it."""
    cells = {name: cell for name, cell in line.cells.items() if cell or name == "email"}
    if "role" in cells:
        cells["role"] = cells["role"].lower()
    return dict(cells)


def _changes(user: User, patch: UserPatch) -> tuple[str, ...]:
    found = []
    for name, new in patch.given().items():
        old = user.role.kind if name == "role" else getattr(user, name) or ""
        if old != new:
            found.append(f"{name}: {old or '(empty)'} → {new}")
    return tuple(found)


def _people_of(session: Session, lines: Sequence[CsvLine]) -> dict[str, User]:
    emails = {_shown(line.cells.get("email", "").lower()) for line in lines}
    statement = select(User).where(func.lower(User.email).in_(emails - {""}))
    return {user.email.lower(): user for user in session.scalars(statement)}


def _first_lines(lines: Sequence[CsvLine]) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in lines:
        found.setdefault(line.cells.get("email", "").lower(), line.number)
    return found


def _reasons(refused: AppError) -> tuple[str, ...]:
    errors: Sequence[FieldError] = refused.errors if isinstance(refused, Invalid) else ()
    return tuple(
        f"{one.field}: {one.message}" if one.field in COLUMNS else one.message for one in errors
    ) or (refused.message,)


def _shown(email: str) -> str:
    """An email as a page and a database can hold it, whatever the cell held."""
    return email.encode("utf-8", "ignore").decode().replace("\0", "")[:254]
