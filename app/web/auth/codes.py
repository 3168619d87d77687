"""One's own one-time codes: turning them on and off, and the recovery codes."""

from __future__ import annotations

import io

import segno
from flask import flash, make_response, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.clock import now
from app.errors import Conflict, Invalid, NotFound
from app.extensions import db, keyring
from app.guard import signed_in
from app.models import User
from app.services import one_time_codes
from app.services.transaction import transaction
from app.web import login_session
from app.web.auth.blueprint import bp
from app.web.auth.proof import myself, prove_password, text
from app.web.forms import FormState, form_page, shows_again
from app.web.htmx import see_other


@bp.get("/account/codes")
@signed_in
def codes_start() -> ResponseReturnValue:
    """What they are, and the question for the password."""
    return _start(FormState())


def _start(form: FormState) -> ResponseReturnValue:
    return _form("start", form)


@bp.post("/account/codes")
@signed_in
@shows_again(_start, secret=True)
def codes_begin() -> ResponseReturnValue:
    """Make a key for the app, once the password has shown whose account it is."""
    prove_password(myself(), text("current"))
    with transaction() as session:
        one_time_codes.begin(session, _me(session), keyring(), now=now())
    return see_other(url_for("auth.codes_scan"))


@bp.get("/account/codes/scan")
@signed_in
def codes_scan() -> ResponseReturnValue:
    """The key, as a picture and as text, and the question for its first code."""
    return _scan(FormState())


def _scan(form: FormState) -> ResponseReturnValue:
    key = one_time_codes.unconfirmed_key(db.session(), myself().id, keyring())
    if key is None:
        return see_other(url_for("auth.account"))
    letters = key.reveal()
    groups = " ".join(letters[at : at + 4] for at in range(0, len(letters), 4))
    return form_page("auth/codes_scan", form, me=myself(), key=groups)


@bp.get("/account/codes/picture")
@signed_in
def codes_picture() -> ResponseReturnValue:
    """The key as a QR code, while it waits for its first code."""
    me = myself()
    key = one_time_codes.unconfirmed_key(db.session(), me.id, keyring())
    if key is None:
        raise NotFound("There is no key that waits for its first code.")
    picture = io.BytesIO()
    code = segno.make(one_time_codes.address_of(key, me.email), error="m")
    code.save(picture, kind="svg", scale=5, border=4, dark="#000", light="#fff")
    response = make_response(picture.getvalue())
    response.mimetype = "image/svg+xml"
    return response


@bp.post("/account/codes/scan")
@signed_in
@shows_again(_scan, secret=True)
def codes_confirm() -> ResponseReturnValue:
    """The first right code turns them on; the recovery codes are shown on this answer and never again."""
    me = myself()
    with transaction() as session:
        user = _me(session)
        codes = one_time_codes.confirm(session, me.actor, user, text("code"), keyring(), now=now())
    login_session.begin(user)
    return render_template("auth/recovery_codes.html", codes=codes, fresh=True)


@bp.get("/account/codes/recovery")
@signed_in
def recovery_ask() -> ResponseReturnValue:
    """The question before new recovery codes."""
    return _recovery(FormState())


def _recovery(form: FormState) -> ResponseReturnValue:
    return _form("recovery", form)


@bp.post("/account/codes/recovery")
@signed_in
@shows_again(_recovery, secret=True)
def recovery_renew() -> ResponseReturnValue:
    """New recovery codes, shown on this answer and never again; the old ones end."""
    me = myself()
    _prove_code(text("code"))
    with transaction() as session:
        codes = one_time_codes.renew_recovery_codes(session, me.actor, _me(session), now=now())
    return render_template("auth/recovery_codes.html", codes=codes, fresh=False)


@bp.get("/account/codes/off")
@signed_in
def codes_ask_off() -> ResponseReturnValue:
    """The question before turning them off."""
    return _off(FormState())


def _off(form: FormState) -> ResponseReturnValue:
    return _form("off", form)


@bp.post("/account/codes/off")
@signed_in
@shows_again(_off, secret=True)
def codes_off() -> ResponseReturnValue:
    """Off again, with password and code."""
    me = myself()
    prove_password(me, text("current"))
    _prove_code(text("code"))
    with transaction() as session:
        one_time_codes.turn_off(session, me.actor, _me(session), now=now())
    flash("One-time codes are off. Your password alone signs you in.", "ok")
    return see_other(url_for("auth.account"))


def _prove_code(typed: str) -> None:
    with transaction() as session:
        found = one_time_codes.check(session, _me(session), typed, keyring(), now=now())
    if not found.how:
        raise Invalid.field("code", found.message)


def _me(session: Session) -> User:
    return session.get_one(User, myself().id)


def _form(name: str, form: FormState) -> ResponseReturnValue:
    """One of the pages that ask; those for codes that are not on, or are on already, lead to the account."""
    me = myself()
    standing = one_time_codes.standing(db.session(), me.id)
    if (standing.since is None) != (name == "start"):
        return see_other(url_for("auth.account"))
    if not me.has_password:
        raise Conflict("One-time codes stand beside a password, and you have none here.")
    return form_page(f"auth/codes_{name}", form, me=me, standing=standing)
