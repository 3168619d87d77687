"""A database that migrations may be undone on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask_migrate import upgrade

from app.extensions import db
from tests.support.migrations import MIGRATIONS


@pytest.fixture
def migrated(app: Flask) -> Iterator[Flask]:
    """The app on its migrated database, which is brought back to the newest revision afterwards."""
    with app.app_context():
        yield app
        db.session.remove()
        upgrade(directory=MIGRATIONS)
