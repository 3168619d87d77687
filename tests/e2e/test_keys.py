"""Keys: rotated by a process that is killed and started again, and lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import clock
from app.config.checks import SettingsError, new_fernet_key
from app.config.settings import load_settings
from app.crypto import KeyRing, bound_to
from app.models import Attempt, Connection, Credential, Run
from app.permissions import Actor
from app.services import grants
from app.services.transaction import transaction
from tests.support.factories import (
    NOW,
    http_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.target import Target, running_target
from tests.support.workers.processes import ROOT, crew_for, until

pytestmark = pytest.mark.slow

MANY = 1_500
SECRET = "s3cr3t-t0k3n"


@pytest.fixture
def target() -> Iterator[Target]:
    with running_target() as target:
        yield target


def seal_many(app: Flask, ring: KeyRing) -> None:
    with app.app_context(), transaction() as session:
        application = make_application(session)
        made = [
            Connection(
                application_id=application.id,
                type="http",
                name=f"Connection {number}",
                config={"base_url": "https://t.example", "auth": "bearer"},
                created_at=NOW,
                changed_at=NOW,
            )
            for number in range(MANY)
        ]
        session.add_all(made)
        session.flush()
        for one in made:
            sealed = ring.seal(SECRET, bound_to(one.id))
            row = Credential(
                connection_id=one.id, sealed=sealed.token, key_id=sealed.key_id, set_at=NOW, set_by="Test"
            )
            session.add(row)


def rotate(app: Flask, keys: list[str]) -> subprocess.Popen[str]:
    settings = app.extensions["settings"]
    environ = os.environ | {
        "DATABASE_URL": settings.database_url,
        "DATA_DIR": str(settings.data_dir),
        "REDIS_URL": settings.redis_url,
        "CREDENTIAL_KEYS": ",".join(keys),
        "ENV_FILE": "",
    }
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "credentials", "rotate"]
    return subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def under(app: Flask, key_id: str) -> int:
    with app.app_context(), transaction() as session:
        statement = select(func.count(Credential.id)).where(Credential.key_id == key_id)
        return session.scalar(statement) or 0


def opened(app: Flask, ring: KeyRing) -> set[str]:
    """What every stored credential opens to; raises KeyLost for one that does not."""
    with app.app_context(), transaction() as session:
        rows = session.execute(select(Credential.connection_id, Credential.sealed)).all()
    return {ring.open(row.sealed, bound_to(row.connection_id)).reveal() for row in rows}


def test_a_rotation_that_is_killed_loses_nothing_and_goes_on(app: Flask) -> None:
    old, new = new_fernet_key(), new_fernet_key()
    seal_many(app, KeyRing([old]))
    ring = KeyRing([new, old])
    process = rotate(app, [new, old])
    assert process.stdout is not None
    assert process.stdout.readline() == "100 encrypted so far.\n"
    process.kill()
    process.communicate()
    done = under(app, ring.newest_key_id)
    assert 0 < done < MANY
    assert done % 100 == 0
    assert opened(app, ring) == {SECRET}
    again = rotate(app, [new, old])
    told, _ = again.communicate(timeout=60)
    assert again.returncode == 0
    assert told.splitlines()[-1].startswith(f"{MANY - done} encrypted under key {ring.newest_key_id}, 0 ")
    assert opened(app, KeyRing([new])) == {SECRET}


def test_a_lost_key_fails_each_use_with_its_reason_and_stops_nothing(
    only_sqlite: Flask, admin: Actor, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = KeyRing([new_fernet_key()])
    with only_sqlite.app_context(), transaction() as session:
        application = make_application(session)
        config = {"base_url": target.url, "auth": "bearer", "timeout_seconds": 5}
        sealed_one = make_connection(session, application, config=config)
        token = lost.seal(SECRET, bound_to(sealed_one.id))
        session.add(
            Credential(
                connection_id=sealed_one.id, sealed=token.token, key_id=token.key_id, set_at=NOW, set_by="T"
            )
        )
        make_workflow(session, application, http_step("create", sealed_one.id))
        open_one = make_application(session)
        plain = make_connection(session, open_one, config=config | {"auth": "none"})
        make_workflow(session, open_one, http_step("create", plain.id))
        for place in (application, open_one):
            grants.grant(session, admin, application=place, user=make_user(session), now=clock.now())
    monkeypatch.setenv("CREDENTIAL_KEYS", new_fernet_key())
    with crew_for(only_sqlite, target.url) as crew:
        worker = crew.worker()

        def ended() -> list[str]:
            found = crew.look(lambda s: list(s.scalars(select(Run.status).order_by(Run.id))))
            return [] if {"queued", "running"} & set(found) else found

        assert until(ended, "both runs end") == ["failed", "succeeded"]
        attempt = crew.look(lambda s: s.scalars(select(Attempt).order_by(Attempt.id)).first())
        assert attempt.failure_class == "configuration"
        assert "cannot be read with the keys of this console. Replace it." in attempt.detail
        assert worker.poll() is None
    assert [call.headers.get("authorization") for call in target.calls] == [None]


@pytest.mark.parametrize("name", ["SECRET_KEY", "CREDENTIAL_KEYS"])
def test_production_does_not_start_on_a_key_that_was_made_for_it(name: str, tmp_path: object) -> None:
    given = {
        "APP_ENV": "production",
        "SECRET_KEY": "x" * 40,
        "CREDENTIAL_KEYS": new_fernet_key(),
        "DATABASE_URL": "postgresql://console@db.example/console",
        "REDIS_URL": "redis://redis.example",
        "DATA_DIR": str(tmp_path),
    }
    assert load_settings(given, env_file=None).is_production
    with pytest.raises(SettingsError) as caught:
        load_settings({one: text for one, text in given.items() if one != name}, env_file=None)
    assert caught.value.name == name
