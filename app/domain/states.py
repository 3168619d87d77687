"""The words a run and its answers can be in, and which run status may follow which."""

from __future__ import annotations

from enum import StrEnum


class Trigger(StrEnum):
    """The grant event that a workflow answers."""

    ACCESS_GRANTED = "access_granted"
    ACCESS_REVOKED = "access_revoked"

    @property
    def label(self) -> str:
        return "Access granted" if self is Trigger.ACCESS_GRANTED else "Access revoked"


class RunStatus(StrEnum):
    """Where a run stands. `label` is the word on the screen, `tone` the look of its chip."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING_MANUAL = "waiting_manual"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    COMPENSATED = "compensated"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"

    @property
    def label(self) -> str:
        return "Waiting (manual)" if self is RunStatus.WAITING_MANUAL else self.value.capitalize()

    @property
    def tone(self) -> str:
        return _TONES[self]

    @property
    def is_open(self) -> bool:
        """True while the run can still move without a Retry."""
        return self in OPEN

    @property
    def moves_by_itself(self) -> bool:
        """True while no person is needed for the next change: what a page must keep watching."""
        return self in (RunStatus.QUEUED, RunStatus.RUNNING)


R = RunStatus

_TONES = {
    R.QUEUED: "idle",
    R.RUNNING: "run",
    R.WAITING_MANUAL: "wait",
    R.SUCCEEDED: "ok",
    R.FAILED: "bad",
    R.COMPENSATED: "undo",
    R.SUPERSEDED: "idle",
    R.CANCELLED: "idle",
}

OPEN = frozenset({R.QUEUED, R.RUNNING, R.WAITING_MANUAL})

# Failed may still be retried, so it is an ending but not a last word.
RUN_TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    R.QUEUED: frozenset({R.RUNNING, R.SUPERSEDED, R.CANCELLED}),
    R.RUNNING: frozenset({R.WAITING_MANUAL, R.SUCCEEDED, R.FAILED, R.COMPENSATED, R.SUPERSEDED, R.CANCELLED}),
    R.WAITING_MANUAL: frozenset({R.RUNNING, R.FAILED, R.SUPERSEDED, R.CANCELLED}),
    R.SUCCEEDED: frozenset(),
    R.FAILED: frozenset({R.RUNNING, R.SUPERSEDED}),
    R.COMPENSATED: frozenset(),
    R.SUPERSEDED: frozenset(),
    R.CANCELLED: frozenset(),
}


class FailureClass(StrEnum):
    """Why a try of a step did not succeed."""

    HTTP_5XX = "http_5xx"
    WAIT = "wait"
    HTTP_4XX = "http_4xx"
    REDIRECT = "redirect"
    UNEXPECTED_STATUS = "unexpected_status"
    UNEXPECTED_ANSWER = "unexpected_answer"
    WRONG_ACCOUNT = "wrong_account"
    TIMEOUT = "timeout"
    NETWORK = "network"
    TLS = "tls"
    EGRESS_BLOCKED = "egress_blocked"
    CONFIGURATION = "configuration"
    MAPPING = "mapping"
    OUTCOME_UNKNOWN = "outcome_unknown"
    WORKER_LOST = "worker_lost"


class TaskOrigin(StrEnum):
    HUMAN_TASK = "human_task"
    ESCALATED_FAILURE = "escalated_failure"

    @property
    def label(self) -> str:
        return "Human task" if self is TaskOrigin.HUMAN_TASK else "Escalated failure"


class TaskStatus(StrEnum):
    PENDING = "pending"
    DONE = "done"
    OBSOLETE = "obsolete"


class TaskOutcome(StrEnum):
    SUBMITTED = "submitted"
    SKIPPED = "skipped"
    FAILED = "failed"
    RETRIED = "retried"
