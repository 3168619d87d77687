"""Pages that look at the system afresh: what one test found is not kept for the next."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.models import Role
from app.web.system.queue_watch import KEY, Watch
from tests.support.page import PageClient
from tests.support.queries.stories import Story
from tests.support.web.readers import Reader, person, sign_in
from tests.support.web.system import Seen, give_sign


@pytest.fixture(autouse=True)
def fresh_watch(only_sqlite: Flask) -> Iterator[Watch]:
    watch = only_sqlite.extensions[KEY] = Watch()
    yield watch
    only_sqlite.extensions[KEY] = Watch()


@pytest.fixture
def seen(web: Session) -> Seen:
    """A worker, and with `swept` a sweeper, that gave a sign so many seconds ago."""
    return partial(give_sign, web)


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
