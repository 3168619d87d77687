"""The directory: finding, adding and changing people, and what ends with their leaving."""

from __future__ import annotations

from functools import partial

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.clock import now
from app.domain.states import Trigger
from app.extensions import db
from app.guard import current_actor, requires
from app.models import User
from app.permissions import DEFAULT_ROLES
from app.queries import grants
from app.queries.applications import applications_with_grants
from app.queries.grants import GrantFilters, grant_list
from app.queries.lookup import load
from app.queries.people import PersonFilters, people_list
from app.queries.run_words import RunChip, run_chip_of
from app.queries.runs import RunFilters, RunRow, run_list
from app.queries.situation import situation
from app.queries.tasks import TaskRow, tasks_of_person
from app.schemas.base import parse
from app.schemas.people import UserIn, UserPatch
from app.services import accounts, one_time_codes, people, single_sign_on
from app.services.transaction import transaction
from app.web.forms import FormState, form_page, shows_again
from app.web.grant_chip import SHOWN, chip_view
from app.web.grants.consequences import consequence_of, without_other_grants
from app.web.htmx import see_other
from app.web.login_session import viewer_may
from app.web.paging import links, read_page
from app.web.people.blueprint import bp
from app.web.request_values import one_of, query
from app.web.tasks.listing import look

FIELDS = ("email", "first_name", "last_name", "username", "employee_id", "role")


def _typed() -> dict[str, object]:
    """What was sent, for the schema. A form without a role leaves the role alone."""
    return {name: request.form[name] for name in FIELDS if name in request.form}


PAGE = 25
# Whom the directory shows by the word in its address: whether they are active, None for all.
STATUSES: dict[str, bool | None] = {"active": True, "deactivated": False, "all": None}
ROLES = [(kind, name) for kind, (name, _) in DEFAULT_ROLES.items()]
# More applications than this are named by their number only.
_FORESEEN = 20
# So many runs and tasks stand on a person's page, which links to the others.
_NEWEST = 10


@bp.get("")
@requires("grant:read")
def index() -> ResponseReturnValue:
    """People by email; the search is in the address."""
    text, status = query("q"), one_of("status", tuple(STATUSES))
    role = one_of("role", ("", *DEFAULT_ROLES))
    read = partial(
        people_list,
        db.session(),
        PersonFilters(text=text, is_active=STATUSES[status], role=role),
        by_email=True,
    )
    page = read_page(read, size=PAGE, key=lambda row: row.id)
    filters = [("q", text), ("status", "" if status == "active" else status), ("role", role)]
    return render_template(
        "people/index.html",
        page=page,
        links=links(request.path, filters, page),
        form=FormState.of({"q": text, "status": status, "role": role}),
        roles=ROLES,
        text=text,
        filtered=bool(text or status != "active" or role),
        may_manage=viewer_may("user:manage"),
    )


@bp.get("/new")
@requires("user:manage")
def new() -> ResponseReturnValue:
    """The empty form."""
    return _new(FormState.of({"role": "viewer"}))


def _new(form: FormState) -> ResponseReturnValue:
    return form_page("people/new", form, roles=ROLES)


@bp.post("")
@requires("user:manage")
@shows_again(_new)
def create() -> ResponseReturnValue:
    """Add a person and open their page."""
    data = parse(UserIn, _typed())
    with transaction() as session:
        user = people.create_user(session, current_actor(), data, now=now())
    flash(f"{user.name} is added.", "ok")
    return see_other(url_for("people.show", user_id=user.id))


@bp.get("/<int:user_id>")
@requires("grant:read")
def show(user_id: int) -> ResponseReturnValue:
    """The person with their grants, newest first."""
    user = load(db.session(), User, user_id)
    shown = one_of("show", tuple(SHOWN))
    read = partial(grant_list, db.session(), GrantFilters(user_id=user_id, is_active=SHOWN[shown]))
    page = read_page(read, size=PAGE, key=lambda grant: grant.id)
    may_see_runs = viewer_may("workflow:read")
    return render_template(
        "people/show.html",
        user=user,
        rows=[(grant, chip_view(grant)) for grant in page.rows],
        links=links(request.path, [("show", "" if shown == "active" else shown)], page),
        shown=shown,
        is_self=current_actor().user_id == user_id,
        may_manage=viewer_may("user:manage"),
        may_write=viewer_may("grant:write"),
        may_see_runs=may_see_runs,
        runs=_runs_of(user_id) if may_see_runs else [],
        tasks=_tasks_of(user_id) if may_see_runs else [],
        has_codes=accounts.needs_code(db.session(), user),
        has_sso=single_sign_on.is_linked(db.session(), user),
    )


@bp.get("/<int:user_id>/edit")
@requires("user:manage")
def edit(user_id: int) -> ResponseReturnValue:
    """The form with what is stored."""
    user = load(db.session(), User, user_id)
    values: dict[str, object] = {name: getattr(user, name) for name in FIELDS if name != "role"}
    return _edit(FormState.of({**values, "role": user.role.kind}), user_id)


def _edit(form: FormState, user_id: int) -> ResponseReturnValue:
    is_self = current_actor().user_id == user_id
    return form_page(
        "people/edit", form, user=load(db.session(), User, user_id), roles=ROLES, is_self=is_self
    )


@bp.post("/<int:user_id>/edit")
@requires("user:manage")
@shows_again(_edit)
def update(user_id: int) -> ResponseReturnValue:
    """Save the form."""
    patch = parse(UserPatch, _typed())
    with transaction() as session:
        user = load(session, User, user_id)
        people.change_user(session, current_actor(), user, patch, now=now())
    flash("Saved.", "ok")
    return see_other(url_for("people.show", user_id=user_id))


@bp.get("/<int:user_id>/deactivate")
@requires("user:manage")
def confirm_deactivate(user_id: int) -> ResponseReturnValue:
    """What deactivating ends, and what that will start on each application."""
    user = load(db.session(), User, user_id)
    session = db.session()
    applications = applications_with_grants(session, user_id, limit=_FORESEEN + 1)
    return render_template(
        "people/deactivate.html",
        user=user,
        held=grants.active_grants_of_person(session, user_id),
        enough=grants.ENOUGH,
        more=len(applications) > _FORESEEN,
        foreseen=[(one, _foreseen(session, user_id, one.id)) for one in applications[:_FORESEEN]],
        grants=grants.grants_to_revoke(
            session, user_id, [one.id for one in applications[:_FORESEEN]], limit=grants.ENOUGH
        ),
    )


@bp.post("/<int:user_id>/deactivate")
@requires("user:manage")
def deactivate(user_id: int) -> ResponseReturnValue:
    """Deactivate: sessions end, grants are revoked through the normal path."""
    _set_active(user_id, active=False)
    flash("Deactivated. Their sessions have ended and their grants are revoked.", "ok")
    return see_other(url_for("people.show", user_id=user_id, show="all"))


@bp.post("/<int:user_id>/reactivate")
@requires("user:manage")
def reactivate(user_id: int) -> ResponseReturnValue:
    """Reactivate; grants do not come back by themselves."""
    _set_active(user_id, active=True)
    flash("Reactivated. Their earlier grants stay revoked: grant again what they need.", "ok")
    return see_other(url_for("people.show", user_id=user_id))


@bp.post("/<int:user_id>/sign-in-link")
@requires("user:manage")
def make_link(user_id: int) -> ResponseReturnValue:
    """A new one-time link, shown on this answer and never again."""
    with transaction() as session:
        user = load(session, User, user_id)
        secret = accounts.make_sign_in_link(session, current_actor(), user, now=now())
    address = url_for("auth.welcome", secret=secret, _external=True)
    return render_template("people/link.html", user=user, address=address)


@bp.post("/<int:user_id>/reset-codes")
@requires("user:manage")
def reset_codes(user_id: int) -> ResponseReturnValue:
    """For somebody whose app and recovery codes are gone."""
    with transaction() as session:
        user = load(session, User, user_id)
        one_time_codes.reset(session, current_actor(), user, now=now())
    flash(
        "Their one-time codes are reset: their password alone signs them in until they set up new ones.", "ok"
    )
    return see_other(url_for("people.show", user_id=user_id))


@bp.post("/<int:user_id>/unlink-single-sign-on")
@requires("user:manage")
def unlink_single_sign_on(user_id: int) -> ResponseReturnValue:
    """Forget which account of the provider is theirs."""
    with transaction() as session:
        user = load(session, User, user_id)
        single_sign_on.unlink(session, current_actor(), user, now=now())
    flash("Unlinked. At the next single sign-on they are found by their email again.", "ok")
    return see_other(url_for("people.show", user_id=user_id))


def _set_active(user_id: int, *, active: bool) -> None:
    with transaction() as session:
        user = load(session, User, user_id)
        people.change_user(session, current_actor(), user, UserPatch(active=active), now=now())


def _runs_of(user_id: int) -> list[tuple[RunRow, RunChip]]:
    found = run_list(db.session(), RunFilters(user_id=user_id), limit=_NEWEST)
    return [(row, run_chip_of(row.run, now=now(), of=row.of)) for row in found]


def _tasks_of(user_id: int) -> list[tuple[TaskRow, tuple[str, str, str]]]:
    found = tasks_of_person(db.session(), current_actor(), user_id, limit=_NEWEST)
    return [(row, look(row.task)) for row in found]


def _foreseen(session: Session, user_id: int, application_id: int) -> str:
    """What comes of revoking all that the person holds there: in the end they hold nothing."""
    holds = situation(session, user_id=user_id, application_id=application_id, trigger=Trigger.ACCESS_REVOKED)
    return consequence_of(without_other_grants(holds), application_id).what
