"""The facts that a remedy is chosen by, and what a remedy consists of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.states import FailureClass, Trigger
from app.domain.steps.base import StepType

# The detail of a try that the connection's own pace did not let out in time (app.rates).
HELD_BACK = (
    "Nothing was sent: more calls wait for this connection than its requests per second let out in a minute."
)
# The detail of a try that was not made because the other system had asked for fewer requests.
LEFT_ALONE = "Nothing was sent: the other system asked for fewer requests, and its time to wait is not over."


class Action(StrEnum):
    """What the button beside a remedy does; `label` is the word on it."""

    NONE = "none"
    ADD_CREDENTIAL = "add_credential"
    REPLACE_CREDENTIAL = "replace_credential"
    TEST_CONNECTION = "test_connection"
    EDIT_CONNECTION = "edit_connection"
    EDIT_MAPPING = "edit_mapping"
    EDIT_PATH = "edit_path"
    EDIT_SUCCESS = "edit_success_statuses"
    DRY_RUN = "dry_run"
    EDIT_RETRY = "edit_retry"
    EDIT_STEP = "edit_step"
    RETRY = "retry"
    SYSTEM_HEALTH = "system_health"
    DONE = "done"
    TYPE_VALUES = "type_values"
    REPLAY = "replay"
    SEND_TEST = "send_test"
    EDIT_PERSON = "edit_person"

    @property
    def label(self) -> str:
        return _LABELS[self]


A = Action
_LABELS = {
    A.NONE: "",
    A.ADD_CREDENTIAL: "Add credential",
    A.REPLACE_CREDENTIAL: "Replace credential",
    A.TEST_CONNECTION: "Test connection",
    A.EDIT_CONNECTION: "Edit connection",
    A.EDIT_MAPPING: "Open data mapping",
    A.EDIT_PATH: "Open path",
    A.EDIT_SUCCESS: "Open success statuses",
    A.DRY_RUN: "Dry-run",
    A.EDIT_RETRY: "Turn on retry",
    A.EDIT_STEP: "Open step",
    A.RETRY: "Retry",
    A.SYSTEM_HEALTH: "System health",
    A.DONE: "It was done…",
    A.TYPE_VALUES: "Type the value…",
    A.REPLAY: "Replay with latest…",
    A.SEND_TEST: "Send test event",
    A.EDIT_PERSON: "Open the person",
}


@dataclass(frozen=True, slots=True)
class Remedy:
    """What happened (`title`), why it came to this (`why`), what to do (`todo`), and the button for it.

    `also` is a second thing that helps, with its own button, and `others` are further ones.  `field` is the very
    field that an edit of a connection or of a step is about, "" where the action says it.
    """

    title: str
    why: str
    todo: str
    action: Action = Action.NONE
    also: Action = Action.NONE
    field: str = ""
    others: tuple[Action, ...] = ()

    @property
    def label(self) -> str:
        """The word on the button, empty when there is nothing to press."""
        return self.action.label


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The facts that a remedy is chosen by, as they hold now.

    `system` is how the other side is called on the screen.  `probe`: Test connection, which runs no workflow.
    `attempts_left` counts what the retry of the step still allows; `attempts_made` the tries so far.
    `costs_no_try`: the connection was parked for such failures, and the run waits for it.
    `stands`: the call was carried out all the same, and could be done twice.
    `captured_any`: something is known of the person's account there.  `credential_replaced`: since then.
    `given_up` is an earlier step of the run that failed and was passed over, `token_from` the earlier step whose
    captured value stands in the headers of this one; `token_doubles`: that one may not be repeated.
    `reached_since` is what Test connection has found since the failure, None where it was not used.
    """

    failure: FailureClass
    status: int | None = None
    system: str = "The other system"
    step_type: StepType = StepType.HTTP
    trigger: Trigger | None = None
    probe: bool = False
    needs_credential: bool = True
    credential_set: bool = True
    credential_replaced: bool = False
    retry_on: bool = False
    attempts_made: int = 1
    attempts_left: int = 0
    costs_no_try: bool = False
    captured_any: bool = False
    outcome_unknown: bool = False
    stands: bool = False
    reached_since: bool | None = None
    given_up: str = ""
    token_from: str = ""
    token_doubles: bool = False
    detail: str = ""
