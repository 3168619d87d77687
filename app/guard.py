"""Who is asking, and may they: declared beside each route, decided before it runs, denied by default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app, g, request

from app.errors import NotFound
from app.permissions import PERMISSIONS, Actor, require

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC = "public"
SIGNED_IN = "signed in"
# Set in the request's environment for a page that must not ask who is reading.
BARE_PAGE = "console.bare_page"


def requires(permission: str) -> Callable[[View], View]:
    """Only for actors who hold `permission`."""
    if permission not in PERMISSIONS:
        raise KeyError(permission)
    return _declare(permission)


def public(view: View) -> View:
    """For anybody, signed in or not."""
    return _declare(PUBLIC)(view)


def signed_in(view: View) -> View:
    """For anybody who is signed in, or whose token is good."""
    return _declare(SIGNED_IN)(view)


def declared(endpoint: str) -> str | None:
    """What the route asks for: a permission, PUBLIC or SIGNED_IN; None when nobody said."""
    if endpoint == "static":
        return PUBLIC
    view = current_app.view_functions.get(endpoint)
    return getattr(view, "asks_for", None)


def admit(actor: Callable[[], Actor]) -> None:
    """Let the present request pass, or raise.

    `actor` finds who is asking, and raises when nobody is.  A route that declares nothing is refused to everybody:
    that is a fault of ours, which a test finds first.
    """
    if request.endpoint is None:
        return  # no such page or method: the router answers
    asks_for = declared(request.endpoint)
    if asks_for is None:
        raise NotFound("This address is not open to anybody.")
    if asks_for == PUBLIC:
        return
    g.actor = actor()
    if asks_for != SIGNED_IN:
        require(g.actor, asks_for)


def current_actor() -> Actor:
    """Who is asking; only within a route that is not public."""
    found: Actor = g.actor
    return found


def _declare(asks_for: str) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view.asks_for = asks_for  # type: ignore[attr-defined]
        return view

    return mark
