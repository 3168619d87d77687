"""Groups: finding, adding and renaming them, who is in them, and which workflows ask them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.clock import now
from app.errors import Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Group, User
from app.queries import groups as group_queries
from app.queries.lookup import load
from app.queries.people import PersonFilters, people_list
from app.schemas.base import parse
from app.schemas.kinds import record_id
from app.schemas.people import GroupIn
from app.services import groups
from app.services.transaction import transaction
from app.web.forms import FormState, form_page, shows_again
from app.web.htmx import see_other
from app.web.login_session import viewer_may
from app.web.paging import links, page_of, read_cursor, read_page
from app.web.request_values import query, storable

bp = Blueprint("groups", __name__, url_prefix="/groups")

PAGE = 25
_FOUND = 20


@bp.get("")
@requires("grant:read")
def index() -> ResponseReturnValue:
    """Groups by name; the search is in the address."""
    text, session = query("q"), db.session()
    cursor = read_cursor(request.args)
    rows = group_queries.groups_by_name(
        session,
        limit=PAGE + 1,
        text=text,
        before=storable(cursor.before) or None,
        after=storable(cursor.after) or None,
    )
    page = page_of(rows, cursor, size=PAGE, key=lambda group: group.name)
    return render_template(
        "groups/index.html",
        page=page,
        sizes=group_queries.sizes(session, [group.id for group in page.rows]),
        links=links(request.path, [("q", text)], page),
        form=FormState.of({"q": text}),
        text=text,
        may_manage=viewer_may("user:manage"),
    )


@bp.get("/new")
@requires("user:manage")
def new() -> ResponseReturnValue:
    """The empty form."""
    return _new(FormState())


def _new(form: FormState) -> ResponseReturnValue:
    return form_page("groups/new", form)


@bp.post("")
@requires("user:manage")
@shows_again(_new)
def create() -> ResponseReturnValue:
    """Add a group and open its page, where people are added."""
    data = parse(GroupIn, {"name": request.form.get("name", "")})
    with transaction() as session:
        group = groups.create_group(session, current_actor(), data, now=now())
    flash(f"{group.name} is added. Add people to it below.", "ok")
    return see_other(url_for("groups.show", group_id=group.id))


@bp.get("/<int:group_id>")
@requires("grant:read")
def show(group_id: int) -> ResponseReturnValue:
    """The group with its members, and the steps whose tasks go to it."""
    group, session = load(db.session(), Group, group_id), db.session()
    read = partial(group_queries.members_list, session, group_id)
    page = read_page(read, size=PAGE, key=lambda user: user.id)
    text = query("q")
    found = _who_may_join(session, group_id, text) if text else []
    return render_template(
        "groups/show.html",
        group=group,
        page=page,
        size=group_queries.sizes(session, [group_id])[group_id],
        links=links(request.path, [("q", text)], page),
        uses=group_queries.uses_of(session, group_id) if viewer_may("workflow:read") else None,
        form=FormState.of({"q": text}),
        text=text,
        found=found[:_FOUND],
        more=len(found) > _FOUND,
        may_manage=viewer_may("user:manage"),
    )


@bp.get("/<int:group_id>/edit")
@requires("user:manage")
def edit(group_id: int) -> ResponseReturnValue:
    """The form with the present name."""
    return _edit(FormState.of({"name": load(db.session(), Group, group_id).name}), group_id)


def _edit(form: FormState, group_id: int) -> ResponseReturnValue:
    return form_page("groups/edit", form, group=load(db.session(), Group, group_id))


@bp.post("/<int:group_id>/edit")
@requires("user:manage")
@shows_again(_edit)
def update(group_id: int) -> ResponseReturnValue:
    """Rename."""
    data = parse(GroupIn, {"name": request.form.get("name", "")})
    with transaction() as session:
        group = load(session, Group, group_id)
        groups.rename_group(session, current_actor(), group, data, now=now())
    flash("Saved.", "ok")
    return see_other(url_for("groups.show", group_id=group_id))


@bp.post("/<int:group_id>/add")
@requires("user:manage")
def add(group_id: int) -> ResponseReturnValue:
    """Let somebody join; the search stays."""
    with transaction() as session:
        group, user = load(session, Group, group_id), _person()
        joined = groups.add_member(session, current_actor(), group, user, now=now())
        said = f"{user.name} joined." if joined else f"{user.name} is in this group already."
    flash(said, "ok")
    text = storable(request.form.get("q", ""))
    return see_other(url_for("groups.show", group_id=group_id, q=text or None))


@bp.post("/<int:group_id>/remove")
@requires("user:manage")
def remove(group_id: int) -> ResponseReturnValue:
    """Let somebody leave."""
    with transaction() as session:
        group, user = load(session, Group, group_id), _person()
        left = groups.remove_member(session, current_actor(), group, user, now=now())
        said = f"{user.name} left." if left else f"{user.name} is not in this group any more."
    flash(said, "ok")
    return see_other(url_for("groups.show", group_id=group_id))


def _person() -> User:
    """The person whom the button names; within a transaction, since its session is this one."""
    number = record_id(request.form.get("user_id", ""))
    if number is None:
        raise Invalid.field("user_id", "Choose a person.")
    return load(db.session(), User, number)


def _who_may_join(session: Session, group_id: int, text: str) -> Sequence[User]:
    filters = PersonFilters(text=text, is_active=True, outside_group=group_id)
    return people_list(session, filters, by_email=True, limit=_FOUND + 1)
