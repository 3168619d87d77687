"""The command line's part for administrators and how they get in."""

from __future__ import annotations

import sys

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.clock import now
from app.config.settings import Settings
from app.models import Role, User
from app.permissions import OPERATOR
from app.schemas.base import parse
from app.schemas.people import UserIn, UserPatch
from app.services import accounts, one_time_codes, people
from app.services.transaction import transaction

FIRST_ADMIN = "admin@example.com"


admin = AppGroup("admin", help="Administrators and how they get in.")


@admin.command("create")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def create_admin(email: str, password_stdin: bool) -> None:
    """Make EMAIL an active administrator and print a one-time link, as the last word.

    Somebody who exists already gets the role and a new link, and their one-time codes are reset: the way back
    in when nobody is left.
    """
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    data = parse(UserIn, {"email": email, "role": "admin"})
    with transaction() as session:
        user = _user_called(session, data.email)
        if user is None:
            user = people.create_user(session, OPERATOR, data, now=now())
        else:
            patch = UserPatch(role="admin", active=True)
            people.change_user(session, OPERATOR, user, patch, now=now())
            if accounts.needs_code(session, user):
                one_time_codes.reset(session, OPERATOR, user, now=now())
        if password is not None:
            accounts.set_password(session, OPERATOR, user, password, now=now())
            click.echo(f"{user.email} is an administrator. Sign in at {_address('/sign-in')}")
            return
        secret = accounts.make_sign_in_link(session, OPERATOR, user, now=now())
        name = user.email
    click.echo(f"{name} is an administrator. This link works once, for 24 hours: {_link(secret)}")


@admin.command("welcome")
def welcome() -> None:
    """Print how to sign in: a fresh link while the first administrator has no password yet."""
    settings: Settings = current_app.extensions["settings"]
    with transaction() as session:
        first = session.scalars(
            select(User)
            .join(Role, Role.id == User.role_id)
            .where(Role.kind == "admin", User.is_active)
            .order_by(User.id)
            .limit(1)
        ).one_or_none()
        if first is None and not settings.is_production:
            data = parse(
                UserIn, {"email": FIRST_ADMIN, "first_name": "First", "last_name": "Admin", "role": "admin"}
            )
            first = people.create_user(session, OPERATOR, data, now=now())
        if first is None:
            message = "There is no administrator. Run: flask --app wsgi admin create EMAIL"
        elif first.password_hash is None:
            secret = accounts.make_sign_in_link(session, OPERATOR, first, now=now())
            message = (
                f"Sign in as {first.email} and choose a password (works once, for 24 hours): {_link(secret)}"
            )
        else:
            message = f"Sign in as {first.email} at {_address('/sign-in')}"
    click.echo(message)


def _user_called(session: Session, email: str) -> User | None:
    return session.scalars(select(User).where(func.lower(User.email) == func.lower(email))).one_or_none()


def _link(secret: str) -> str:
    return _address(f"/sign-in/{secret}")


def _address(path: str) -> str:
    settings: Settings = current_app.extensions["settings"]
    return settings.base_url + path
