"""Where the API's routes gather, and what happens before each."""

from __future__ import annotations

from flask import Blueprint

from app.api import problems
from app.api.auth import token_actor
from app.api.requestid import bind_request_id
from app.guard import admit

PREFIX = "/api/v1"

bp = Blueprint("api", __name__, url_prefix=PREFIX)
bp.register_error_handler(Exception, problems.answer)
bp.before_request(bind_request_id)


@bp.before_request
def admit_token() -> None:
    """Nobody passes without a token that holds what the route asks for."""
    admit(token_actor)
