"""Commands for who gets in: administrators, people and API tokens."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.clock import now
from app.config.settings import Settings
from app.errors import Conflict, NotFound
from app.extensions import db
from app.models import ApiToken, Role, User
from app.permissions import OPERATOR
from app.schemas.base import parse
from app.schemas.kinds import record_id
from app.schemas.people import TokenIn, UserIn, UserPatch
from app.schemas.people_csv import MAX_BYTES, decoded, lines_of
from app.services import accounts, one_time_codes, people, people_import, tokens
from app.services.people_import import LineKind, LineOutcome
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


directory = AppGroup("people", help="The directory.")


@directory.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--apply", "really", is_flag=True, help="Save; without it only the report is made.")
def import_people(file: Path, really: bool) -> None:
    """Add and change people from FILE, a CSV file with a header.

    Without --apply nothing is saved. Lines that are refused are named and passed over; the exit is then 1.
    """
    with file.open("rb") as stream:
        lines = lines_of(decoded(stream.read(MAX_BYTES + 1)))
    outcomes = planned = people_import.plan(db.session(), OPERATOR, lines)
    if really:
        done: list[LineOutcome] = []
        for batch in people_import.batches(lines, planned):
            with transaction() as session:
                done += people_import.apply(session, OPERATOR, batch, now=now())
        outcomes = people_import.merged(planned, done)
    for one in outcomes:
        if one.kind is not LineKind.UNCHANGED:
            click.echo(f"line {one.line}\t{one.kind}\t{one.email}\t{'; '.join(one.details)}")
    counts = people_import.counts(outcomes)
    summary = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    click.echo(f"{summary}. {'Saved.' if really else 'Nothing is saved: add --apply to save.'}")
    if counts[LineKind.REFUSED]:
        raise click.ClickException("Some lines are refused; the reasons stand beside them.")


token = AppGroup("token", help="API tokens.")


@token.command("create")
@click.argument("name")
@click.option("--permission", "permissions", multiple=True, required=True, help="May be given several times.")
@click.option("--days", type=click.IntRange(1, 3650), help="Ends after so many days; without it, never.")
def create_token(name: str, permissions: tuple[str, ...], days: int | None) -> None:
    """Make an API token called NAME and print it once, as the last word."""
    ends = now() + timedelta(days=days) if days else None
    data = parse(TokenIn, {"name": name, "permissions": list(permissions), "expires_at": ends})
    with transaction() as session:
        made, secret = tokens.create_token(session, OPERATOR, data, now=now())
        number = made.id
    click.echo(f"Token {number} is made and is shown only now: {secret}")


@token.command("list")
def list_tokens() -> None:
    """Print every token: number, state, last use, name and permissions."""
    for one in db.session.scalars(select(ApiToken).order_by(ApiToken.id)):
        used = f"{one.last_used_at:%Y-%m-%d %H:%M}" if one.last_used_at else "never used"
        click.echo(f"{one.id}\t{_state(one)}\t{used}\t{one.name}\t{' '.join(one.permissions)}")


def _state(one: ApiToken) -> str:
    if one.revoked_at is not None:
        return "revoked"
    return "expired" if one.expires_at is not None and one.expires_at <= now() else "active"


@token.command("revoke")
@click.argument("which")
def revoke_token(which: str) -> None:
    """Take back the token with this number or, where only one is called so, this name."""
    with transaction() as session:
        found = _token_called(session, which)
        tokens.revoke_token(session, OPERATOR, found, now=now())
        name = found.name
    click.echo(f"{name} is revoked.")


def _token_called(session: Session, which: str) -> ApiToken:
    number = record_id(which)
    by_number = session.get(ApiToken, number) if number is not None else None
    if by_number is not None:
        return by_number
    found = session.scalars(
        select(ApiToken).where(ApiToken.name == which, ApiToken.revoked_at.is_(None)).limit(2)
    ).all()
    if len(found) > 1:
        raise Conflict(f"Several tokens are called {which}. Give the number: flask --app wsgi token list")
    if not found:
        raise NotFound(f"There is no token {which}. See: flask --app wsgi token list")
    return found[0]
