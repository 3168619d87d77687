"""The inbox's filters, to and from the address, and its rows in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlencode

from flask import url_for
from sqlalchemy.orm import Session

from app.domain.states import TaskOrigin, TaskOutcome, TaskStatus
from app.errors import FieldError
from app.models import Application, ManualTask
from app.queries.applications import application_names
from app.queries.tasks import InboxFilters, TaskRow, View
from app.schemas.kinds import record_id
from app.web.forms import FormState
from app.web.request_values import storable

VIEWS: tuple[tuple[View, str], ...] = (
    ("open", "All open"),
    ("mine", "For me"),
    ("overdue", "Overdue"),
    ("done", "Done"),
)
ORIGINS = {TaskOrigin.HUMAN_TASK: "Human task", TaskOrigin.ESCALATED_FAILURE: "Escalated failure"}
OUTCOMES = {
    TaskOutcome.SUBMITTED: ("ok", "Submitted", ""),
    TaskOutcome.SKIPPED: ("idle", "Skipped", "dash"),
    TaskOutcome.FAILED: ("bad", "Failed", ""),
    TaskOutcome.RETRIED: ("idle", "Sent again", "retry"),
}
_APPLICATIONS = 200


@dataclass(frozen=True, slots=True)
class TaskList:
    """What was asked of the inbox: as typed, and as the query takes it (None when it cannot be read)."""

    form: FormState
    filters: InboxFilters | None
    kept: tuple[tuple[str, str], ...]

    @property
    def is_narrowed(self) -> bool:
        return bool(self.kept)


def read_listing(session: Session, args: Mapping[str, str]) -> TaskList:
    """The filters in the query string; a value that cannot be one is named, and then nothing is listed."""
    typed = {name: storable(args.get(name, "")) for name in ("show", "application", "origin")}
    kept = tuple(
        (name, value) for name, value in typed.items() if value and (name, value) != ("show", "open")
    )
    errors: list[FieldError] = []
    view = typed["show"] or "open"
    if view not in [name for name, _ in VIEWS]:
        errors.append(FieldError("show", "There is no such list of tasks."))
    number = record_id(typed["application"]) if typed["application"] else None
    if typed["application"] and (number is None or session.get(Application, number) is None):
        errors.append(FieldError("application", "There is no such application."))
    origin = TaskOrigin(typed["origin"]) if typed["origin"] in list(TaskOrigin) else None
    if typed["origin"] and origin is None:
        errors.append(FieldError("origin", "There is no such origin."))
    filters = None if errors else InboxFilters(cast(View, view), number, origin)
    return TaskList(FormState.of(typed, errors), filters, kept)


def tabs(listing: TaskList) -> list[dict[str, object]]:
    """The ready-made lists, each with the other filters kept."""
    shown = listing.form.value("show") or "open"
    rest = [pair for pair in listing.kept if pair[0] != "show"]
    found: list[dict[str, object]] = []
    for name, label in VIEWS:
        kept = [*([("show", name)] if name != "open" else []), *rest]
        href = url_for("tasks.index") + (f"?{urlencode(kept)}" if kept else "")
        found.append({"label": label, "href": href, "current": name == shown})
    return found


def options(session: Session) -> dict[str, list[tuple[str, str]]]:
    """The choices of each list, by the filter's name."""
    names = application_names(session, limit=_APPLICATIONS)
    return {
        "application": [("", "Any application"), *((str(number), name) for number, name in names)],
        "origin": [("", "Any origin"), *((one.value, words) for one, words in ORIGINS.items())],
    }


def why_shown(row: TaskRow) -> str:
    """Why the reader sees this task."""
    if row.mine:
        return _why_mine(row)
    if row.barred:
        return "You granted this access; somebody else completes it"
    return f"For {row.assignee}" if row.assignee else "For anyone who may do tasks"


def look(task: ManualTask) -> tuple[str, str, str]:
    """A task's chip: tone, label and, where it is not the tone's own, icon."""
    if task.status == TaskStatus.PENDING:
        return ("wait", "Waiting (manual)", "")
    if task.outcome is None:
        return ("idle", "Not needed", "dash")
    if task.outcome == TaskOutcome.SUBMITTED and task.origin == TaskOrigin.ESCALATED_FAILURE:
        return ("ok", "Done by hand", "")
    return OUTCOMES[TaskOutcome(task.outcome)]


def _why_mine(row: TaskRow) -> str:
    if row.task.assignee_user_id is not None:
        return "Assigned to you"
    return f"You are in {row.assignee}" if row.assignee else "Open to anyone who may do tasks"
