"""What templates may name: the tokens, as nested plain dicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


def rfc3339(at: datetime | None) -> str | None:
    """A time as JSON and templates show it: RFC 3339 in UTC, to the second."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# Where the context says which zone `date` means without one: by a name that no token can have.
ZONE = "(zone)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom and what a run is about. The ids are shown as strings, as everywhere outside.

    `account` is what is known of the person's account, `kept` what was kept with this grant alone;
    `zone` is the console's, for dates that name none.
    """

    trigger: str
    occurred_at: datetime
    user_id: int
    email: str
    first_name: str
    last_name: str
    username: str | None
    employee_id: str | None
    application_id: int
    application_name: str
    grant_id: int
    access_level: str
    granted_at: datetime
    expires_at: datetime | None
    account: Mapping[str, Any] = field(default_factory=dict)
    zone: str = "UTC"
    kept: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def context_for(subject: Subject) -> dict[str, Any]:
    """The context that every template of the run is filled from."""
    return {
        "event": {
            "id": f"{subject.grant_id}-{subject.trigger}",
            "trigger": subject.trigger,
            "occurred_at": rfc3339(subject.occurred_at),
        },
        "grantee": {
            "id": str(subject.user_id),
            "email": subject.email,
            "first_name": subject.first_name,
            "last_name": subject.last_name,
            "username": subject.username,
            "employee_id": subject.employee_id,
        },
        "application": {"id": str(subject.application_id), "name": subject.application_name},
        "grant": {
            "id": str(subject.grant_id),
            "access_level": subject.access_level,
            "granted_at": rfc3339(subject.granted_at),
            "expires_at": rfc3339(subject.expires_at),
            "kept": dict(subject.kept),
        },
        "steps": {key: dict(values) for key, values in subject.steps.items()},
        "account": dict(subject.account),
        ZONE: subject.zone,
    }
