"""Sign-in by password, one-time code or one-time link, sign-out, and the page of one's own account."""

from __future__ import annotations

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from app.clock import now
from app.errors import FieldError, Invalid
from app.extensions import db, keyring
from app.guard import public, signed_in
from app.models import User
from app.permissions import PERMISSIONS
from app.services import accounts, one_time_codes, passwords
from app.services.transaction import transaction
from app.web import login_session
from app.web.auth.blueprint import bp
from app.web.auth.proof import myself, new_password, prove_password, text
from app.web.auth.sso import provider
from app.web.forms import FormState, form_page, shows_again
from app.web.htmx import see_other
from app.web.preferences import local_path

_OUT = "You are signed out."


@bp.get("/sign-in")
@public
def sign_in() -> ResponseReturnValue:
    """The form; whoever is signed in already goes on."""
    onward = local_path(request.args.get("next", ""))
    if login_session.person() is not None:
        return see_other(onward)
    return form_page("auth/sign_in", FormState.of({"next": onward}), provider=provider())


@bp.post("/sign-in")
@public
def start() -> ResponseReturnValue:
    """Check the password, outside any transaction because that is slow, and start a session."""
    email, password, at = text("email"), text("password"), now()
    candidate = accounts.find_candidate(db.session(), email, now=at, source=login_session.source())
    db.session.rollback()
    ok = passwords.matches(candidate.password_hash, password)
    with transaction() as session:
        came_in = accounts.settle(session, candidate, ok, now=at, source=login_session.source())
    onward = local_path(text("next"))
    if came_in.user is not None and came_in.needs_code:
        login_session.await_code(came_in.user, how="password", onward=onward)
        return see_other(url_for("auth.ask_code"))
    if came_in.user is not None:
        login_session.begin(came_in.user)
        return see_other(onward)
    typed = FormState.of({"email": email[:320], "next": onward}, [FieldError("email", came_in.message)])
    return form_page("auth/sign_in", typed, provider=provider())


@bp.post("/sign-out")
@public
def sign_out() -> ResponseReturnValue:
    """End this browser's session; without one it does no harm."""
    login_session.forget()
    flash(_OUT, "ok")
    return see_other(url_for("auth.sign_in"))


@bp.get("/sign-in/<string:secret>")
@public
def welcome(secret: str) -> ResponseReturnValue:
    """The page behind a one-time link. Opening it uses nothing up: mail scanners open links too."""
    user = accounts.owner_of_link(db.session(), secret, now=now())
    if user is None:
        return _dead_link()
    return _welcome(FormState(), user, secret)


def _welcome(form: FormState, user: User, secret: str) -> ResponseReturnValue:
    return form_page(
        "auth/welcome", form, secret=secret, name=user.first_name or user.email, email=user.email
    )


@bp.post("/sign-in/<string:secret>")
@public
def choose_password(secret: str) -> ResponseReturnValue:
    """Use the link up: set the password and start a session, or neither."""
    at = now()
    user = accounts.owner_of_link(db.session(), secret, now=at)
    if user is None:
        return _dead_link()
    try:
        password = new_password()
        with transaction() as session:
            owner = accounts.use_sign_in_link(session, secret, now=at, source=login_session.source())
            if owner is None:
                return _dead_link()
            actor = accounts.actor_for_user(owner, login_session.source())
            accounts.set_password(session, actor, owner, password, now=at)
            needs_code = accounts.needs_code(session, owner)
    except Invalid as refused:
        return _welcome(FormState(errors=refused.errors), user, secret)
    if needs_code:
        login_session.await_code(owner, how="link", onward="/")
        flash("Your password is set.", "ok")
        return see_other(url_for("auth.ask_code"))
    login_session.begin(owner)
    flash("Your password is set and you are signed in.", "ok")
    return see_other("/")


@bp.get("/account")
@signed_in
def account() -> ResponseReturnValue:
    """One's own account."""
    return _account(FormState())


def _account(form: FormState) -> ResponseReturnValue:
    me = myself()
    rights = [PERMISSIONS[one] for one in PERMISSIONS if one in me.actor.permissions]
    codes = one_time_codes.standing(db.session(), me.id)
    return form_page("auth/account", form, me=me, rights=rights, codes=codes)


@bp.post("/account/password")
@signed_in
@shows_again(_account, secret=True)
def change_password() -> ResponseReturnValue:
    """Replace one's own password: every other session ends, this one goes on."""
    me = myself()
    prove_password(me, text("current"))
    password = new_password()
    with transaction() as session:
        user = session.scalars(select(User).where(User.id == me.id)).one()
        accounts.set_password(session, me.actor, user, password, now=now())
    login_session.begin(user)
    flash("Your password is changed. Every other session of yours has ended.", "ok")
    return see_other(url_for("auth.account"))


@bp.post("/account/sign-out-everywhere")
@signed_in
def sign_out_everywhere() -> ResponseReturnValue:
    """End every session of one's own, this one as well."""
    me = myself()
    with transaction() as session:
        user = session.scalars(select(User).where(User.id == me.id)).one()
        accounts.sign_out_everywhere(session, me.actor, user, now=now())
    login_session.forget()
    flash("You are signed out everywhere.", "ok")
    return see_other(url_for("auth.sign_in"))


def _dead_link() -> ResponseReturnValue:
    return render_template("auth/dead_link.html"), 410


_OVER = "That took too long, or was finished elsewhere. Sign in again."


@bp.get("/sign-in/code")
@public
def ask_code() -> ResponseReturnValue:
    """The form, for whom a right password has brought here."""
    if login_session.waiting() is None:
        return see_other(url_for("auth.sign_in"))
    return form_page("auth/code", FormState())


@bp.post("/sign-in/code")
@public
def take_code() -> ResponseReturnValue:
    """Check the code and start the session."""
    waiting = login_session.waiting()
    if waiting is None:
        return _again()
    with transaction() as session:
        user = session.get(User, waiting.user_id)
        # Meanwhile the person may have been deactivated, or their sessions ended.
        if user is None or not user.is_active or user.session_epoch != waiting.epoch:
            return _again()
        found = one_time_codes.check(session, user, text("code"), keyring(), now=now())
        if found.how:
            how = f"{waiting.how} and {found.how}"
            accounts.let_in(session, user, now=now(), source=login_session.source(), how=how)
        left = one_time_codes.standing(session, user.id).recovery_left
    if not found.how:
        return form_page("auth/code", FormState(errors=[FieldError("code", found.message)]))
    login_session.begin(user)
    if found.how == "recovery code":
        flash(f"That recovery code is used up. You have {left} left.", "info")
    return see_other(local_path(waiting.onward))


def _again() -> ResponseReturnValue:
    login_session.forget()
    flash(_OVER, "info")
    return see_other(url_for("auth.sign_in"))
