"""The inbox and a task's page, and the answers that both kinds of acts share."""

from __future__ import annotations

from flask import Response, flash, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.extensions import db
from app.guard import current_actor, signed_in
from app.permissions import Actor, require
from app.queries.task_rules import PERMISSION, READ
from app.queries.tasks import inbox, waiting_for
from app.web.forms import FormState
from app.web.htmx import close_dialog, is_fragment, retarget, toast
from app.web.paging import links, page_of, read_cursor
from app.web.tasks.blueprint import bp
from app.web.tasks.listing import ORIGINS, look, options, read_listing, tabs, why_shown
from app.web.tasks.task_page import assign_form, shown
from app.web.template_filters import capped

PAGE = 50


@bp.get("")
@signed_in
def index() -> ResponseReturnValue:
    """Tasks that the reader may act on first, then the others that they may see."""
    actor = reader()
    session, cursor = db.session(), read_cursor(request.args)
    listing = read_listing(session, request.args)
    rows = []
    if listing.filters is not None:
        rows = inbox(
            session,
            actor,
            listing.filters,
            now=now(),
            limit=PAGE + 1,
            before=cursor.before,
            after=cursor.after,
        )
    page = page_of(rows, cursor, size=PAGE, key=lambda row: row.key)
    html = render_template(
        "tasks/index.html",
        listing=listing,
        form=listing.form,
        rows=[(row, look(row.task), why_shown(row)) for row in page.rows],
        links=links(url_for("tasks.index"), listing.kept, page),
        tabs=tabs(listing),
        options=options(session),
        origins=ORIGINS,
        at=now(),
    )
    return make_response(html, 200 if listing.filters is not None else 422)


@bp.get("/<int:task_id>")
@signed_in
def show(task_id: int) -> ResponseReturnValue:
    """One task: what happened, what is asked, and what each act would do."""
    return page(task_id)


def reader() -> Actor:
    """Whoever asks, who must read workflows or do tasks; raises NotAllowed."""
    actor = current_actor()
    require(actor, PERMISSION, READ)
    return actor


def page(
    task_id: int, status: int = 200, *, form: FormState | None = None, assign: FormState | None = None
) -> Response:
    """The page of a task, or what of it changes when htmx asks; `form` and `assign` are refused forms."""
    one = shown(db.session(), reader(), task_id)
    html = render_template(
        "tasks/_live.html" if is_fragment() else "tasks/show.html",
        shown=one,
        task=one.task,
        run=one.run,
        form=form or FormState(),
        assign=assign or assign_form(one.task),
        asked=FormState(),
        choices={field["name"]: [(text, text) for text in field["options"]] for field in one.task.fields},
        refused=form is not None or assign is not None,
        count=capped(waiting_for(db.session(), current_actor())),
        oob=is_fragment(),
    )
    return make_response(html, status)


def not_done(task_id: int, why: str) -> ResponseReturnValue:
    """Nothing was done: 409 with why, and the task as it stands now."""
    if is_fragment():
        answer = toast(page(task_id, 409), why, tone="wait")
        return close_dialog(retarget(answer, "#task", "outerHTML"))
    flash(why, "wait")
    return page(task_id, 409)
