"""What the product tells: the shapes of the API's answers, as pure data. Presenters fill them from records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

Item = TypeVar("Item")

# Ids are text outside: JavaScript loses digits of large numbers.
OutId = Annotated[str, BeforeValidator(str)]


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


OutTime = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str, when_used="json")]


class Output(BaseModel):
    """Something that is told. A field that is not part of the shape is a mistake of ours and refused.

    The API's `class` is a reserved word here, so it is called `failure_class` until it is written as JSON.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, serialize_by_alias=True)


class Page(Output, Generic[Item]):
    """A part of a list. `next` is the cursor of what follows, None at the end."""

    items: list[Item]
    next: str | None = None


class UserOut(Output):
    id: OutId
    email: str
    first_name: str
    last_name: str
    username: str | None
    employee_id: str | None
    role: str
    active: bool
    created_at: OutTime


class GroupOut(Output):
    id: OutId
    name: str
    user_ids: list[OutId]


class ApplicationOut(Output):
    id: OutId
    name: str
    description: str
    vendor: str
    category: str
    url: str
    critical: bool
    notes: str
    created_at: OutTime
    archived_at: OutTime | None


class CredentialStateOut(Output):
    """What may be known of a credential. `readable` is False when no key of the console opens it."""

    configured: bool
    set_at: OutTime | None = None
    set_by: str | None = None
    last_used_at: OutTime | None = None
    last_ok: bool | None = None
    readable: bool | None = None


class LastTestOut(Output):
    """What the last Test connection found."""

    tested_at: OutTime
    outcome: str
    failure_class: str | None = Field(serialization_alias="class")
    status: int | None
    path: str | None
    duration_ms: int | None


class ParkedOut(Output):
    """A connection that holds runs up: `state` is parked, refused, held, trial or draining (`label` in words).

    `next_probe_at` is None when it is not tried by itself.
    """

    state: str
    label: str
    since: OutTime
    why: str
    until: OutTime | None
    next_probe_at: OutTime | None
    waiting_runs: int


class ConnectionOut(Output):
    id: OutId
    application_id: OutId
    type: str
    name: str
    config: dict[str, Any]
    credential: CredentialStateOut
    last_test: LastTestOut | None
    parked: ParkedOut | None
    created_at: OutTime
    changed_at: OutTime


class PlaceOut(Output):
    """One action of a remedy: where on the console it is taken, and the permission that it needs."""

    action: str
    label: str
    href: str
    permission: str


class RemedyOut(Output):
    """What to do about a failure, in the words of the screen. `actions` has the one that mends it first."""

    title: str
    why: str
    todo: str
    action: str
    label: str
    actions: list[PlaceOut] = []


class ConnectionTestOut(Output):
    """What Test connection found."""

    outcome: Literal["reachable", "failed", "nothing_to_probe"]
    status: int | None
    path: str | None
    duration_ms: int | None
    failure_class: str | None = Field(serialization_alias="class")
    message: str
    remedy: RemedyOut | None


class WarningOut(Output):
    """Something about saved steps that their author should know; it refuses nothing."""

    field: str
    message: str


class VersionOut(Output):
    number: int
    steps: list[dict[str, Any]]
    note: str
    created_at: OutTime
    created_by: str
    warnings: list[WarningOut] = Field(default_factory=list)


class WorkflowOut(Output):
    """`version` is the newest one, None when nothing was saved yet. Only the trigger's own policy is set."""

    id: OutId
    application_id: OutId
    name: str
    description: str
    trigger: str
    enabled: bool
    grant_policy: str | None
    revoke_policy: str | None
    version: VersionOut | None
    created_at: OutTime


class CheckOut(Output):
    """One line of an explanation, with the page that mends it for those who may."""

    check: str
    ok: bool
    detail: str
    fix_url: str | None = None


class DecisionOut(Output):
    trigger: str
    outcome: str
    reason: str | None
    run_id: OutId | None
    checks: list[CheckOut]


class StateOut(Output):
    """A grant's chip."""

    code: str
    label: str
    run_id: OutId | None
    reason: str | None


class GrantOut(Output):
    id: OutId
    application_id: OutId
    user_id: OutId
    access_level: str
    notes: str
    granted_at: OutTime
    granted_by: str
    expires_at: OutTime | None
    revoked_at: OutTime | None
    revoked_by: str | None
    state: StateOut
    decisions: list[DecisionOut]


class FailureOut(Output):
    """Why a run failed, with the remedy that holds now."""

    step: str | None
    failure_class: str = Field(serialization_alias="class")
    status: int | None
    message: str
    remedy: RemedyOut | None
    outcome_unknown: bool


class AllowedOut(Output):
    allowed: bool
    reason: str | None = None


class ActionsOut(Output):
    retry: AllowedOut
    replay: AllowedOut
    done: AllowedOut
    cancel: AllowedOut


class TimelineEntryOut(Output):
    at: OutTime
    kind: Literal["attempt", "event"]
    step: str | None = None
    step_type: str | None = None
    attempt: int | None = None
    of: int | None = None
    outcome: str | None = None
    status: int | None = None
    failure_class: str | None = Field(default=None, serialization_alias="class")
    duration_ms: int | None = None
    edge: str | None = None
    next_attempt_at: OutTime | None = None
    host: str | None = None
    method: str | None = None
    path_template: str | None = None
    fields: list[str] | None = None
    captured: dict[str, Any] | None = None
    task_id: OutId | None = None
    message: str = ""


class WaitingOut(Output):
    """The parked connection that a run waits for, and since when."""

    connection_id: OutId
    since: OutTime


class RunOut(Output):
    """`timeline` and `waits_for_run_id`, the run whose turn comes first, are None in lists."""

    id: OutId
    status: str
    label: str
    trigger: str
    application_id: OutId
    grant_id: OutId
    user_id: OutId
    workflow_id: OutId
    version: int
    sequence: int
    replaces_run_id: OutId | None
    cause: str
    created_at: OutTime
    started_at: OutTime | None
    finished_at: OutTime | None
    next_attempt_at: OutTime | None
    waits_for_run_id: OutId | None
    waits_for_connection: WaitingOut | None
    failure: FailureOut | None
    actions: ActionsOut
    timeline: list[TimelineEntryOut] | None = None


class WorkerOut(Output):
    name: str
    seen_at: OutTime
    in_flight: int


class PausedOut(Output):
    """Runs are held back until somebody resumes them."""

    since: OutTime
    by: str
    because: str


class FailingDutyOut(Output):
    """What the sweeper could not do at its last passes: `duty` goes on from "The sweeper could not …"."""

    duty: str
    since: OutTime
    problem: str


class HealthOut(Output):
    """How the console itself is. `database` and `redis` are `ok` or `unreachable`.

    `redis_problem` says in words why the queue cannot be used: Redis is away, full, a replica, or the like.
    `runs_adrift` counts open runs that nothing moves, up to 200: anything but 0 is a fault.
    """

    database: str
    redis: str
    redis_problem: str | None
    workers: list[WorkerOut]
    queued: int
    oldest_queued_seconds: float | None
    sweeper_seen_at: OutTime | None
    sweeper_failing: list[FailingDutyOut]
    runs_adrift: int
    paused: PausedOut | None
