"""The commands of the demo: `flask demo` does the main job once, `flask demo-data` fills a console for trying out.

`demo-data` is run at every start, and changes nothing that is as it should be.
"""

from __future__ import annotations

import sys
from datetime import datetime

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.catalogue import scim
from app.config.settings import Settings
from app.crypto import KeyLost, KeyRing, bound_to
from app.domain.states import Trigger
from app.extensions import keyring
from app.local.demo import content
from app.models import Application, Connection, User
from app.permissions import ALL_PERMISSIONS, Actor
from app.schemas.applications import ApplicationIn
from app.schemas.base import parse
from app.schemas.connections import ConnectionIn, CredentialIn
from app.schemas.people import UserIn
from app.schemas.workflows import WorkflowIn
from app.services import applications, connections, credentials, people, workflows
from app.services.transaction import transaction

MAKER = Actor("system", "Demo", ALL_PERMISSIONS, source="demo")


def register(app: Flask) -> None:
    """Add the commands to `app`."""
    app.cli.add_command(demo)
    app.cli.add_command(demo_data)


@click.command("demo")
def demo() -> None:
    """Do the main job once on a console of its own, and exit 0 only if the outside agrees with the grants."""
    from app.local.demo.__main__ import main  # here, so that no other command loads the supervisor

    sys.exit(main())


@click.command("demo-data")
@with_appcontext
def demo_data() -> None:
    """Make the demo's application, connection, workflows and people, where they are missing."""
    settings: Settings = current_app.extensions["settings"]
    if not settings.demo_data or not settings.demo_scim_url:
        return
    keys = keyring()
    with transaction() as session:
        now = clock.now()
        application = session.scalars(
            select(Application).where(Application.name == content.APPLICATION["name"])
        ).first()
        if application is None:
            application = _make(session, settings.demo_scim_url, now)
        if application.archived_at is None:
            _point_at_server(session, application, settings, keys, now)


def _make(session: Session, url: str, now: datetime) -> Application:
    application = applications.create_application(
        session, MAKER, parse(ApplicationIn, content.APPLICATION), now=now
    )
    made = {"type": "http", "name": content.CONNECTION, "config": _config(url)}
    connection = connections.create_connection(
        session, MAKER, application, parse(ConnectionIn, made), now=now
    )
    for name, trigger, steps in (
        ("Create the account", Trigger.ACCESS_GRANTED, scim.grant(str(connection.id))),
        ("Deactivate the account", Trigger.ACCESS_REVOKED, scim.revoke(str(connection.id))),
    ):
        wanted = {"name": name, "trigger": trigger.value, "steps": steps, "enabled": True}
        workflows.create_workflow(session, MAKER, application, parse(WorkflowIn, wanted), now=now)
    known = set(session.scalars(select(User.email)))
    for person in content.PEOPLE:
        if person["email"] not in known:
            people.create_user(session, MAKER, parse(UserIn, person), now=now)
    return application


def _point_at_server(
    session: Session, application: Application, settings: Settings, keyring: KeyRing, now: datetime
) -> None:
    """The server may have another port or token than the last time: keep the demo connection working."""
    connection = session.scalars(
        select(Connection).where(
            Connection.application_id == application.id, Connection.name == content.CONNECTION
        )
    ).first()
    if connection is None:
        return
    if connection.config.get("base_url") != settings.demo_scim_url:
        connection.config = {**connection.config, "base_url": settings.demo_scim_url}
        connection.changed_at = now
    if not _holds(connection, settings.demo_scim_token, keyring):
        token = parse(CredentialIn, {"value": settings.demo_scim_token})
        credentials.set_credential(session, MAKER, connection, token, keyring, now=now)


def _holds(connection: Connection, token: str, keyring: KeyRing) -> bool:
    if connection.credential is None:
        return False
    try:
        return keyring.open(connection.credential.sealed, bound_to(connection.id)).reveal() == token
    except KeyLost:
        return False


def _config(url: str) -> dict[str, object]:
    return {"base_url": url, "auth": "bearer", "timeout_seconds": 10, "health_path": "/ServiceProviderConfig"}
