"""Where the API's routes gather, and what happens before each: the token says who is asking (RFC 6750).

A session is no way in here.
"""

from __future__ import annotations

from flask import Blueprint, request

from app import clock
from app.api import problems
from app.api.problems import Unauthenticated
from app.extensions import db
from app.guard import admit
from app.permissions import Actor
from app.request_ids import go_by_callers
from app.services import tokens
from app.services.transaction import transaction

PREFIX = "/api/v1"

bp = Blueprint("api", __name__, url_prefix=PREFIX)
bp.register_error_handler(Exception, problems.answer)
bp.before_request(go_by_callers)


@bp.before_request
def admit_token() -> None:
    """Nobody passes without a token that holds what the route asks for."""
    admit(token_actor)


def token_actor() -> Actor:
    """The token of this request as an actor; raises Unauthenticated without a good one."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("Send a token as “Authorization: Bearer <token>”.")
    now = clock.now()
    token = tokens.find_token(db.session(), secret.strip(), now=now)
    if token is None:
        raise Unauthenticated("This token is unknown, expired or revoked.", bad_token=True)
    actor = tokens.actor_for_token(db.session(), token, request.remote_addr or "")
    if tokens.use_is_to_be_noted(token, now=now):
        with transaction() as session:
            tokens.note_use(session, token.id, now=now)
    return actor
