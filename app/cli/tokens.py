"""The command line's part for API tokens."""

from __future__ import annotations

from datetime import timedelta

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import now
from app.errors import Conflict, NotFound
from app.extensions import db
from app.models import ApiToken
from app.permissions import OPERATOR
from app.schemas.base import parse
from app.schemas.kinds import record_id
from app.schemas.people import TokenIn
from app.services import tokens
from app.services.transaction import transaction

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
