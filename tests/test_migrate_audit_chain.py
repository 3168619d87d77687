"""Entries that are older than the chain: put into it by the migration, and out of it again by the way back."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from app.extensions import db
from app.services.audit_chain import verify

MIGRATIONS = str(Path(__file__).parent.parent / "migrations")


def test_entries_from_before_the_chain_are_put_into_it(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()
        downgrade(directory=MIGRATIONS, revision="0002")
        with db.engine.begin() as connection:
            for number in (1, 2, 3):
                connection.execute(
                    text(
                        "INSERT INTO audit_events (at, action, actor_kind, actor, subject_type, subject_id, "
                        "subject, source, changes) VALUES ('2026-01-02 03:04:05.678+00', 'user.create', 'user', "
                        "'Ada', 'user', :id, 'Bo', '', '{\"n\": [null, 1]}')"
                        if connection.dialect.name == "postgresql"
                        else "INSERT INTO audit_events (at, action, actor_kind, actor, subject_type, subject_id, "
                        "subject, source, changes) VALUES ('2026-01-02 03:04:05.678000', 'user.create', 'user', "
                        "'Ada', 'user', :id, 'Bo', '', '{\"n\": [null, 1]}')"
                    ),
                    {"id": str(number)},
                )
        upgrade(directory=MIGRATIONS)
        found = verify(db.session())
        db.session.remove()
        assert (found.entries, found.why) == (3, "")
        with pytest.raises(DatabaseError, match="append-only"), db.engine.begin() as connection:
            connection.execute(text("UPDATE audit_events SET actor = 'Mallory'"))
