"""API tokens: scripts' way in. The list, making one that is shown once, and taking one back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.errors import NotFound
from app.extensions import db
from app.guard import current_actor, requires
from app.models import ApiToken
from app.permissions import PERMISSIONS
from app.queries.people import token_list
from app.schemas.people import TokenIn
from app.services import tokens
from app.services.transaction import transaction
from app.web.forms import FormState, form_page, parse_typed, shows_again
from app.web.htmx import see_other
from app.web.paging import links, read_page
from app.web.request_values import utc_time


@dataclass(frozen=True, slots=True)
class State:
    """A chip: tone, words and shape."""

    tone: str
    label: str
    icon: str


@dataclass(frozen=True, slots=True)
class ShownToken:
    """What may be known of a token. `permissions` are (name, words) pairs."""

    id: int
    name: str
    permissions: list[tuple[str, str]]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    state: State
    is_active: bool


def shown_token(token: ApiToken, *, now: datetime) -> ShownToken:
    """The token at this moment."""
    if token.revoked_at is not None:
        state = State("idle", "Revoked", "dash")
    elif token.expires_at is not None and token.expires_at <= now:
        state = State("idle", "Expired", "clock")
    else:
        state = State("ok", "Active", "check")
    return ShownToken(
        id=token.id,
        name=token.name,
        permissions=[
            (name, PERMISSIONS.get(name, "A permission that no longer exists")) for name in token.permissions
        ],
        created_at=token.created_at,
        created_by=token.created_by,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
        revoked_at=token.revoked_at,
        state=state,
        is_active=state.tone == "ok",
    )


bp = Blueprint("tokens", __name__, url_prefix="/tokens")

PAGE = 25
USUAL_LIFE = timedelta(days=90)
_EXPIRY = "Enter a date and time (UTC), such as 2026-11-30 09:00, or leave it empty."


@bp.get("")
@requires("settings:manage")
def index() -> ResponseReturnValue:
    """Every token, newest first; what it may do, never what it is."""
    read = partial(token_list, db.session())
    page = read_page(read, size=PAGE, key=lambda token: token.id)
    at = now()
    return render_template(
        "tokens/index.html",
        rows=[shown_token(token, now=at) for token in page.rows],
        links=links(request.path, [], page),
    )


@bp.get("/new")
@requires("settings:manage")
def new() -> ResponseReturnValue:
    """The form, with an end in three months."""
    return _new(FormState.of({"expires_at": _local(now() + USUAL_LIFE)}))


def _new(form: FormState) -> ResponseReturnValue:
    mine = current_actor().permissions
    permissions = [(name, words, name in mine) for name, words in PERMISSIONS.items()]
    return form_page("tokens/new", form, permissions=permissions)


@bp.post("")
@requires("settings:manage")
@shows_again(_new)
def create() -> ResponseReturnValue:
    """Make the token and show it, on this answer and never again."""
    data = _read()
    with transaction() as session:
        token, secret = tokens.create_token(session, current_actor(), data, now=now())
    return render_template("tokens/made.html", token=shown_token(token, now=now()), secret=secret)


@bp.get("/<int:token_id>/revoke")
@requires("settings:manage")
def confirm_revoke(token_id: int) -> ResponseReturnValue:
    """The question, with when the token was last used."""
    token = db.session.get(ApiToken, token_id)
    if token is None:
        raise _missing(token_id)
    return render_template("tokens/revoke.html", token=shown_token(token, now=now()))


@bp.post("/<int:token_id>/revoke")
@requires("settings:manage")
def revoke(token_id: int) -> ResponseReturnValue:
    """Take it back, for ever."""
    with transaction() as session:
        token = session.get(ApiToken, token_id)
        if token is None:
            raise _missing(token_id)
        tokens.revoke_token(session, current_actor(), token, now=now())
        name = token.name
    flash(f"{name} is revoked. Calls with it are refused from now on.", "ok")
    return see_other(url_for("tokens.index"))


def _missing(token_id: int) -> NotFound:
    return NotFound(f"There is no API token {token_id}.")


def _read() -> TokenIn:
    """The typed token; raises Invalid naming each refused field."""
    data = {
        "name": request.form.get("name", ""),
        "permissions": request.form.getlist("permissions"),
        "expires_at": utc_time(request.form.get("expires_at", "")),
    }
    words = {"expires_at": _EXPIRY}
    if not data["permissions"]:
        words["permissions"] = "Choose at least one permission."
    return parse_typed(TokenIn, data, words)


def _local(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")
