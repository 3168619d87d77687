"""An upgrade marks the workflows whose steps may mean another account than their author thought."""

from __future__ import annotations

import json

from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import text

from app.extensions import db
from tests.support.migrations import MIGRATIONS

STEPS = {
    "one capture": [{"key": "a", "capture": {"id": "$.id"}}],
    "one name twice": [{"key": "a", "capture": {"id": "$.id"}}, {"key": "b", "capture": {"id": "$.x"}}],
    "by its place": [{"key": "a", "capture": {"id": {"path": "$.Resources[0].id", "optional": True}}}],
    "an empty query": [{"key": "a", "query": {"q": "{{ grantee.username }}"}}],
    "an empty text": [{"key": "a", "body": {"name": ["{{ grantee.first_name }} {{ grantee.last_name }}"]}}],
    "a value alone": [{"key": "a", "body": {"name": "{{ grantee.last_name }}"}}],
    "no steps": [],
    "nonsense": "?",
}


def test_what_is_in_doubt_is_marked_and_nothing_else(migrated: Flask) -> None:
    db.session.remove()
    downgrade(directory=MIGRATIONS, revision="0014")
    now = "2026-11-01 00:00:00+00:00"
    with db.engine.begin() as connection:
        for number, (name, steps) in enumerate(STEPS.items(), 1):
            given = {"id": number, "name": name, "steps": json.dumps(steps), "now": now}
            connection.execute(
                text(
                    "INSERT INTO applications (id, name, description, vendor, category, url, is_critical, notes,"
                    " created_at) VALUES (:id, :name, '', '', '', '', (1 = 0), '', :now)"
                ),
                given,
            )
            connection.execute(
                text(
                    "INSERT INTO workflows (id, application_id, name, description, trigger, policy, is_enabled,"
                    " version_id, version_number, step_count, created_at)"
                    " VALUES (:id, :id, :name, '', 'access_granted', 'each_grant', (1 = 0), :id, 1, 1, :now)"
                ),
                given,
            )
            connection.execute(
                text(
                    "INSERT INTO workflow_versions (id, workflow_id, number, steps, note, created_at, created_by)"
                    " VALUES (:id, :id, 1, :steps, '', :now, 'somebody')"
                ),
                given,
            )
    upgrade(directory=MIGRATIONS)
    with db.engine.connect() as connection:
        marked = (
            connection.execute(text("SELECT name FROM workflows WHERE to_review ORDER BY id")).scalars().all()
        )
    assert marked == ["one name twice", "by its place", "an empty query", "an empty text"]
    downgrade(directory=MIGRATIONS, revision="base")
