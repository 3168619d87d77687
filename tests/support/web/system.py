"""Signs of life, as the pages of the system read them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.orm import Session

from app.clock import now
from app.models import Duty, Worker

Seen = Callable[..., None]


def give_sign(
    session: Session, ago: int = 0, *, name: str = "host-1", in_flight: int = 3, swept: int | None = None
) -> None:
    """Record a worker, and with `swept` a sweeper, that gave a sign so many seconds ago."""
    at = now() - timedelta(seconds=ago)
    session.add(Worker(name=name, started_at=at, seen_at=at, in_flight=in_flight, concurrency=32))
    if swept is not None:
        done = now() - timedelta(seconds=swept)
        session.add(Duty(name="sweep", holder="host-1", until=done, done_at=done))
    session.commit()
