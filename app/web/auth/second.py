"""The second step of a sign-in: a one-time code, for those who have turned that on."""

from __future__ import annotations

from flask import current_app, flash, render_template, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.errors import FieldError
from app.guard import public
from app.models import User
from app.services import accounts, one_time_codes
from app.services.transaction import transaction
from app.web import signedin
from app.web.auth.blueprint import bp
from app.web.auth.forms import text
from app.web.formstate import FormState
from app.web.htmx import is_fragment, see_other
from app.web.preferences import local_path

_OVER = "That took too long, or was finished elsewhere. Sign in again."


@bp.get("/sign-in/code")
@public
def ask_code() -> ResponseReturnValue:
    """The form, for whom a right password has brought here."""
    if signedin.waiting() is None:
        return see_other(url_for("auth.sign_in"))
    return render_template("auth/code.html", form=FormState(), refused=False)


@bp.post("/sign-in/code")
@public
def take_code() -> ResponseReturnValue:
    """Check the code and start the session."""
    waiting = signedin.waiting()
    if waiting is None:
        return _again()
    with transaction() as session:
        user = session.get(User, waiting.user_id)
        # Meanwhile the person may have been deactivated, or their sessions ended.
        if user is None or not user.is_active or user.session_epoch != waiting.epoch:
            return _again()
        keyring = current_app.extensions["keyring"]
        found = one_time_codes.check(session, user, text("code"), keyring, now=now())
        if found.how:
            how = f"{waiting.how} and {found.how}"
            accounts.let_in(session, user, now=now(), source=signedin.source(), how=how)
        left = one_time_codes.standing(session, user.id).recovery_left
    if not found.how:
        form = FormState.of({}, [FieldError("code", found.message)])
        template = "auth/_code_form.html" if is_fragment() else "auth/code.html"
        return render_template(template, form=form, refused=True), 422
    signedin.begin(user)
    if found.how == "recovery code":
        flash(f"That recovery code is used up. You have {left} left.", "info")
    return see_other(local_path(waiting.onward))


def _again() -> ResponseReturnValue:
    signedin.forget()
    flash(_OVER, "info")
    return see_other(url_for("auth.sign_in"))
