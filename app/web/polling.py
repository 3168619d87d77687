"""How pages stay up to date: each asks at an address with the version that it shows, and hears 204 while that holds.

The address and the pace reach the browser only with an answer, so what decides the pace is part of the version.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from flask import request
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.models import BulkRetry, Run


@dataclass(frozen=True, slots=True)
class Poll:
    """What the `polls` component writes. After `seconds` the page asks again; with 0 nothing can move by itself.

    `key` moves that by up to 15 % either way, so that many pages do not ask in step.
    """

    version: str
    seconds: int
    key: int | None = None

    @property
    def every(self) -> str:
        """The seconds as htmx reads them, "" for a page that asks no more."""
        if not self.seconds or self.key is None:
            return str(self.seconds or "")
        return f"{self.seconds * (0.85 + self.key * 7 % 31 / 100):.2f}"

    @property
    def is_shown(self) -> bool:
        """Whether the page that asks shows this version."""
        return request.args.get("v") == self.version


class Watched(NamedTuple):
    """As much of a run, or of a bulk retry, as a page that watches it has to ask for."""

    id: int
    status: str
    revision: int
    changed_at: datetime

    def poll(self, seconds: int, *, minute: timedelta | None = None) -> Poll:
        """With `minute`, an age that the page speaks of, the version changes every minute."""
        parts = [self.revision, seconds, *([] if minute is None else [int(minute.total_seconds() // 60)])]
        return Poll(".".join(str(part) for part in parts), seconds, self.id)


def watched(session: Session, model: type[Run | BulkRetry], number: int) -> Watched:
    """One read by primary key; raises NotFound."""
    columns = (model.id, model.status, model.revision, model.changed_at)
    row = session.execute(select(*columns).where(model.id == number)).one_or_none()
    if row is None:
        noun = "run" if model is Run else "bulk retry"
        raise NotFound(f"There is no {noun} {number}, or you may not see it.")
    return Watched(*row)


def watched_as(record: Run | BulkRetry) -> Watched:
    """The same of a record that was read already."""
    return Watched(record.id, record.status, record.revision, record.changed_at)


def pace(age: timedelta) -> int:
    """The seconds to the next question: the longer nothing happened, the rarer."""
    if age < timedelta(seconds=30):
        return 2
    return 5 if age < timedelta(minutes=5) else 15


def digest(*drawn: object) -> str:
    """The version of a page that shows these values."""
    return hashlib.sha256(repr(drawn).encode()).hexdigest()[:16]
