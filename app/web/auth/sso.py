"""Single sign-on by OpenID Connect: to the provider and back, beside passwords."""

from __future__ import annotations

import re
from typing import Any

import structlog
from flask import current_app, make_response, redirect, render_template, request, session, url_for
from flask.sansio.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from app.clock import now
from app.config.checks import SettingsError
from app.config.settings import Settings
from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.connectors.oidc import Begun, Provider, SignOnFailed
from app.errors import Busy, NotFound
from app.guard import public
from app.net.target import parse_target
from app.services import single_sign_on
from app.services.transaction import before_asking_outside, transaction
from app.web import login_session
from app.web.auth.blueprint import bp
from app.web.preferences import local_path

_PROVIDER = "oidc"
_UNDER_WAY = "sso"
# How many sign-ins one browser may have under way, in several tabs, and for how long each.
_MOST = 3
_SECONDS = 600
_LONGEST_NEXT = 500
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")

log = structlog.get_logger("sso")


@bp.record_once
def _prepare(state: BlueprintSetupState) -> None:
    """A provider that can never be called stops the start, and not every reader of the sign-in page."""
    settings: Settings = state.app.extensions["settings"]
    if settings.oidc_issuer:
        state.app.extensions[_PROVIDER] = _made(settings)


def provider() -> Provider | None:
    """The provider that the settings name, or None."""
    settings: Settings = current_app.extensions["settings"]
    if not settings.oidc_issuer:
        return None
    found: Provider | None = current_app.extensions.get(_PROVIDER)
    if found is None:
        found = current_app.extensions[_PROVIDER] = _made(settings)
    return found


def _made(settings: Settings) -> Provider:
    try:
        home = parse_target(settings.oidc_issuer)
        host = f"[{home.host}]" if ":" in home.host else home.host
        # Whoever starts the console named this host: it may be an internal one, and it is the only one.
        client = HttpClient(EgressPolicy(f"{host}:{home.port}"), max_connections=4)
    except ValueError as problem:
        raise SettingsError("OIDC_ISSUER", f"cannot be called: {problem}") from None
    return Provider(settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret, client)


@bp.get("/sign-in/sso")
@public
def sso() -> ResponseReturnValue:
    """Off to the provider. A link and no form: the policy of our pages lets forms go to this host alone."""
    there = _provider()
    onward = local_path(request.args.get("next", "")[:_LONGEST_NEXT])
    before_asking_outside()
    try:
        begun = there.begin(_back(), scopes=_scopes())
    except SignOnFailed as failed:
        return _failed(failed.message)
    except Busy:
        return _busy(there.host)
    started = [begun.state, begun.nonce, begun.verifier, onward, int(now().timestamp())]
    session[_UNDER_WAY] = [*_pending(), started][-_MOST:]
    return redirect(begun.url, code=303)


@bp.get("/sign-in/sso/callback")
@public
def sso_callback() -> ResponseReturnValue:
    """Back from the provider: who it was, or why not."""
    there = _provider()
    state = request.args.get("state", "")
    pending = _pending()
    kept = next((one for one in pending if one[0] == state), None)
    session[_UNDER_WAY] = [one for one in pending if one is not kept]
    if kept is None:
        return _page(
            "This sign-in was not started in this browser, or was used already.",
            "It may have taken longer than ten minutes, or the page was opened a second time.",
            "Start again.",
            400,
        )
    _, nonce, verifier, onward, _ = kept
    if request.args.get("iss", there.issuer).rstrip("/") != there.issuer.rstrip("/"):
        return _failed("The answer came from another provider.")
    if "error" in request.args:
        return _turned_away(request.args["error"], there.host)
    before_asking_outside()
    try:
        begun = Begun("", state, nonce, verifier)
        claims = there.finish(begun, request.args.get("code", ""), _back(), wanted=_wanted())
    except SignOnFailed as failed:
        return _failed(failed.message)
    except Busy:
        return _busy(there.host)
    with transaction() as writing:
        came_in = single_sign_on.settle(writing, claims, _rules(), now=now(), source=login_session.source())
    if came_in.user is None:
        log.warning("sso.refused", what=came_in.what)
        return _page(came_in.what, came_in.why, came_in.todo, 403)
    login_session.begin(came_in.user)
    return redirect(local_path(onward), code=303)


def _provider() -> Provider:
    found = provider()
    if found is None:
        raise NotFound("Single sign-on is not set up here.")
    return found


def _back() -> str:
    """Where the provider sends the person, as registered with it."""
    settings: Settings = current_app.extensions["settings"]
    if settings.public_url:
        return settings.public_url + url_for("auth.sso_callback")
    return url_for("auth.sso_callback", _external=True)


def _rules() -> single_sign_on.SignOnRules:
    settings: Settings = current_app.extensions["settings"]
    return single_sign_on.SignOnRules(
        issuer=settings.oidc_issuer,
        trust_email=settings.oidc_trust_email,
        groups_claim=settings.oidc_groups_claim,
        group_roles=settings.oidc_group_roles,
    )


def _scopes() -> tuple[str, ...]:
    rules = _rules()
    return ("groups", rules.groups_claim) if rules.group_roles else ()


def _wanted() -> tuple[str, ...]:
    rules = _rules()
    return ("email", "email_verified", *([rules.groups_claim] if rules.group_roles else []))


def _pending() -> list[list[Any]]:
    """The sign-ins that this browser has under way: state, nonce, verifier, where to go on, since when."""
    since = int(now().timestamp()) - _SECONDS
    return [one for one in session.get(_UNDER_WAY, ()) if one[4] > since]


def _turned_away(code: str, host: str) -> ResponseReturnValue:
    said = code if _ERROR_CODE.fullmatch(code) else "an error"
    if said == "access_denied":
        why = "You, or a rule there, did not allow it."
    else:
        why = (
            f"It answered with {said}. Whoever runs this console may have to look at the provider’s settings."
        )
    return _page(f"{host} did not sign you in.", why, "Try again, or sign in with a password.", 403)


def _failed(message: str) -> ResponseReturnValue:
    log.warning("sso.failed", reason=message)
    return _page(
        "Single sign-on did not work.",
        message,
        "Try again in a minute, or sign in with a password. If it stays so, tell whoever runs this console.",
        502,
    )


def _busy(host: str) -> ResponseReturnValue:
    response = make_response(
        _page(
            "Single sign-on is busy.",
            f"Others are waiting for {host} to answer, so it was not asked for you.",
            "Start again in a few seconds, or sign in with a password.",
            503,
        )
    )
    response.headers["Retry-After"] = "5"
    return response


def _page(what: str, why: str, todo: str, status: int) -> ResponseReturnValue:
    return make_response(render_template("auth/sso_refused.html", what=what, why=why, todo=todo), status)
