"""Grants, and what people do to runs and tasks."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.schemas.base import Input
from app.schemas.kinds import (
    AccessLevel,
    ApplicationId,
    Flag,
    LongText,
    ReasonText,
    ShortText,
    Time,
    UserId,
)
from app.schemas.workflows import TriggerWord

MAX_OVERRIDES = 100


class GrantIn(Input):
    """Access for a person. `record_only`: no workflow is to start."""

    application_id: ApplicationId
    user_id: UserId
    access_level: AccessLevel = ""
    expires_at: Time = None
    notes: LongText = ""
    record_only: Flag = False


class GrantPatch(Input):
    """What may change about a grant; fields that are not sent stay, null takes the expiry away."""

    notes: LongText = ""
    expires_at: Time = None


class RevokeIn(Input):
    notes: LongText = ""
    record_only: Flag = False


class RunNowIn(Input):
    """Start the run that the event of this trigger did not get."""

    trigger: TriggerWord


class RetryIn(Input):
    """Retry a failed run. `overrides` are one-off values for mapped fields of the failed step.

    `account` and `kept` are values that the console should know: they stay with the person's account, or with the
    grant, and take a `reason`.
    """

    overrides: dict[str, Any] = Field(default_factory=dict, max_length=MAX_OVERRIDES, repr=False)
    confirm_unknown: Flag = False
    account: dict[str, Any] = Field(default_factory=dict, max_length=MAX_OVERRIDES)
    kept: dict[str, Any] = Field(default_factory=dict, max_length=MAX_OVERRIDES)
    reason: LongText = ""
    # From a plan: what is asked for is refused when things have changed since it was shown.
    token: ShortText | None = None


class DoneIn(Input):
    """Say that the failed step was done. `captured` are the values that it would have captured and that are not
    known yet."""

    reason: ReasonText
    captured: dict[str, Any] = Field(default_factory=dict, max_length=MAX_OVERRIDES)
    token: ShortText | None = None


class ReplayIn(Input):
    """Start a fresh run of the newest version in place of a failed one."""

    token: ShortText | None = None


class CancelIn(Input):
    reason: ReasonText


class SubmitIn(Input):
    """Typed values of a task, by field name; which are needed is the task's matter."""

    input: dict[str, Any] = Field(default_factory=dict, max_length=MAX_OVERRIDES)


class ReasonIn(Input):
    """Why a step is skipped or failed."""

    reason: ReasonText
