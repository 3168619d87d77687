"""The audit trail: a list with filters, entries in words, and the same list as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.errors import FieldError, Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import AuditEvent
from app.queries.audit import AuditFilters, actions, audit_list, every_entry, subject_types
from app.schemas.kinds import record_id
from app.web.csv_file import download, line
from app.web.forms import FormState
from app.web.paging import links, no_rows, read_page
from app.web.request_values import day, storable

ACTIONS = {
    "alert.read": "Read the alert",
    "alert.read_all": "Read every alert",
    "alert.test": "Sent a test alert",
    "application.archive": "Archived the application",
    "application.change": "Changed the application",
    "application.create": "Added the application",
    "application.restore": "Restored the application",
    "bulk_retry.start": "Started the bulk retry",
    "bulk_retry.stop": "Stopped the bulk retry",
    "connection.change": "Changed the connection",
    "connection.create": "Added the connection",
    "connection.delete": "Deleted the connection",
    "connection.park": "Parked the connection",
    "connection.unpark": "Let the connection go on",
    "credential.remove": "Removed the credential",
    "credential.replace": "Replaced the credential",
    "credential.set": "Set the credential",
    "engine.pause": "Paused runs",
    "engine.resume": "Resumed runs",
    "grant.change": "Changed the grant",
    "grant.create": "Granted access",
    "grant.revoke": "Revoked access",
    "group.change": "Changed the group",
    "group.create": "Added the group",
    "group.members": "Changed who is in the group",
    "role.change": "Changed the role",
    "run.cancel": "Cancelled the run",
    "run.done": "Said that a step was done",
    "run.replay": "Replayed with latest",
    "run.retry": "Retried the run",
    "run.start": "Started the run",
    "session.end_all": "Ended every session",
    "session.start": "Signed in",
    "task.assign": "Assigned the task",
    "task.claim": "Took the task on",
    "task.failed": "Failed the step",
    "task.release": "Left the task to others",
    "task.retried": "Sent the step again",
    "task.skipped": "Skipped the step",
    "task.submitted": "Submitted the task",
    "token.create": "Made the API token",
    "token.revoke": "Revoked the API token",
    "user.activate": "Reactivated the person",
    "user.change": "Changed the person",
    "user.codes_off": "Turned one-time codes off",
    "user.codes_on": "Turned one-time codes on",
    "user.codes_reset": "Reset one-time codes",
    "user.create": "Added the person",
    "user.deactivate": "Deactivated the person",
    "user.lock": "Locked the person out",
    "user.password": "Set a password",
    "user.recovery_codes": "Made new recovery codes",
    "user.sign_in_link": "Made a sign-in link",
    "user.sso_link": "Linked single sign-on",
    "user.sso_unlink": "Unlinked single sign-on",
    "workflow.change": "Changed the workflow",
    "workflow.review": "Looked at the workflow again",
    "workflow.create": "Added the workflow",
    "workflow.delete": "Deleted the workflow",
    "workflow.disable": "Disabled the workflow",
    "workflow.enable": "Enabled the workflow",
    "workflow.save": "Saved a version",
}
# Where a record is shown, and who may see it there.
_PAGES = {
    "application": ("/applications/{}", "grant:read"),
    "bulk_retry": ("/bulk-retries/{}", "workflow:read"),
    "connection": ("/connections/{}", "workflow:read"),
    "grant": ("/grants/{}", "grant:read"),
    "group": ("/groups/{}", "grant:read"),
    "run": ("/runs/{}", "workflow:read"),
    "task": ("/tasks/{}", "workflow:read"),
    "user": ("/people/{}", "grant:read"),
    "workflow": ("/workflows/{}/versions", "workflow:read"),
}
_KINDS = {"token": "API token", "system": "system"}


@dataclass(frozen=True, slots=True)
class Changed:
    """One field that an act changed, in words; `old` and `new` are "–" where there was or is nothing."""

    field: str
    old: str
    new: str


def action_words(action: str) -> str:
    """What was done; an action without words of its own is shown as it is called."""
    return ACTIONS.get(action, action)


def who(event: AuditEvent) -> str:
    """Who did it, and what they are when they are no person."""
    kind = _KINDS.get(event.actor_kind)
    return f"{event.actor} ({kind})" if kind else event.actor


def changed(event: AuditEvent) -> list[Changed]:
    """What the act changed, field by field in the order of their names."""
    found = []
    for name, pair in sorted(event.changes.items()):
        old, new = pair if isinstance(pair, list) and len(pair) == 2 else (None, pair)
        found.append(Changed(name.replace("_", " "), _words(old), _words(new)))
    return [one for one in found if one.old != one.new]  # nothing that became nothing says nothing


def record_page(event: AuditEvent, permissions: frozenset[str]) -> str:
    """Where the record is shown, "" where it has no page or the reader may not open it."""
    page, permission = _PAGES.get(event.subject_type, ("", ""))
    if not page or permission not in permissions or record_id(event.subject_id) is None:
        return ""
    return page.format(event.subject_id)


def _words(value: Any) -> str:
    if value is None or value in ("", []):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and all(isinstance(one, str | int) for one in value):
        return ", ".join(str(one) for one in value)
    if isinstance(value, Mapping | Sequence):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return str(value)


NAMES = ("who", "action", "about", "type", "id", "from", "to")


@dataclass(frozen=True, slots=True)
class AuditList:
    """What was asked of the trail: as typed, and as the query takes it (None when it cannot be read)."""

    form: FormState
    filters: AuditFilters | None
    kept: tuple[tuple[str, str], ...]

    def address(self, path: str) -> str:
        """`path` with these filters."""
        return f"{path}?{urlencode(self.kept)}" if self.kept else path


def read_listing(args: Mapping[str, str]) -> AuditList:
    """The filters in the query string; a day that is none is named, and then nothing is listed."""
    typed = {name: storable(args.get(name, "")) for name in NAMES}
    kept = tuple((name, value) for name, value in typed.items() if value)
    days = {name: day(typed[name]) for name in ("from", "to")}
    wrong = [name for name, found in days.items() if typed[name] and found is None]
    errors = [FieldError(name, "Enter a day as 2026-11-22.") for name in wrong]
    filters = AuditFilters(
        who=typed["who"],
        action=typed["action"],
        about=typed["about"],
        subject_type=typed["type"],
        subject_id=typed["id"],
        since=days["from"],
        until=days["to"] + timedelta(days=1) if days["to"] else None,
    )
    # A field for days can show nothing but a day.
    shown = typed | dict.fromkeys(wrong, "")
    return AuditList(FormState.of(shown, errors), None if errors else filters, kept)


CSV_COLUMNS = ("When (UTC)", "Who", "What", "Record", "Changes", "Reason", "From")


def _csv_line(event: AuditEvent) -> str:
    cells = (
        event.at.strftime("%Y-%m-%d %H:%M:%S"),
        who(event),
        action_words(event.action),
        event.subject,
        "; ".join(f"{one.field}: {one.old} → {one.new}" for one in changed(event)),
        event.reason or "",
        event.source,
    )
    return line(cells)


bp = Blueprint("audit", __name__, url_prefix="/audit")

PAGE = 50


@bp.get("")
@requires("audit:read")
def index() -> ResponseReturnValue:
    """Who did what to which record, the newest first, narrowed by what the address says."""
    session, listing = db.session(), read_listing(request.args)
    read = partial(audit_list, session, listing.filters) if listing.filters is not None else no_rows
    page = read_page(read, size=PAGE, key=lambda event: event.id)
    permissions = current_actor().permissions
    words = sorted(((one, action_words(one)) for one in actions(session)), key=lambda pair: pair[1].lower())
    html = render_template(
        "audit/index.html",
        listing=listing,
        form=listing.form,
        rows=[
            (one, who(one), action_words(one.action), changed(one), record_page(one, permissions))
            for one in page.rows
        ],
        links=links(url_for("audit.index"), listing.kept, page),
        actions=[("", "Any action"), *words],
        types=[
            ("", "Any record"),
            *((one, one.replace("_", " ").capitalize()) for one in subject_types(session)),
        ],
        export=listing.address(url_for("audit.export")),
    )
    return make_response(html, 200 if listing.filters is not None else 422)


@bp.get("/export")
@requires("audit:read")
def export() -> ResponseReturnValue:
    """The same entries as a file, sent as they are read."""
    listing = read_listing(request.args)
    if listing.filters is None:
        raise Invalid("These filters cannot be used.", list(listing.form.errors))
    lines = every_entry(db.session(), listing.filters, _csv_line)
    return download(CSV_COLUMNS, lines, f"audit-{now():%Y-%m-%d}.csv")
