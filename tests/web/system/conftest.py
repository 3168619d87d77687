"""Pages that look at the system afresh: what one test found is not kept for the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.clock import now
from app.models import Duty, Role, Worker
from app.web.system.watch import KEY, Watch
from tests.support.page import PageClient
from tests.support.queries.stories import Story
from tests.web.conftest import Reader, person, sign_in

Seen = Callable[..., None]


@pytest.fixture(autouse=True)
def fresh_watch(only_sqlite: Flask) -> Iterator[Watch]:
    watch = only_sqlite.extensions[KEY] = Watch()
    yield watch
    only_sqlite.extensions[KEY] = Watch()


@pytest.fixture
def seen(web: Session) -> Seen:
    """A worker, and with `swept` a sweeper, that gave a sign so many seconds ago."""

    def add(ago: int = 0, *, name: str = "host-1", in_flight: int = 3, swept: int | None = None) -> None:
        at = now() - timedelta(seconds=ago)
        web.add(Worker(name=name, started_at=at, seen_at=at, in_flight=in_flight, concurrency=32))
        if swept is not None:
            done = now() - timedelta(seconds=swept)
            web.add(Duty(name="sweep", holder="host-1", until=done, done_at=done))
        web.commit()

    return add


@pytest.fixture
def waiting_run(web: Session) -> Story:
    """A queued run that is due."""
    return Story(web)


@pytest.fixture
def engineer(only_sqlite: Flask, web: Session) -> PageClient:
    """A member who may retry runs, and mends no settings."""
    member = web.query(Role).where(Role.kind == "member").one()
    member.permissions = ["grant:read", "workflow:read", "workflow:run"]
    reader: Reader = sign_in(only_sqlite, person(only_sqlite, web, "erin", "member"))
    return reader.client
