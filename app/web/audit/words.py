"""Audit entries in words: what was done, to what, and what changed by it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.models import AuditEvent

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
    if not page or permission not in permissions or not event.subject_id.isdecimal():
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
