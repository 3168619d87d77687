"""What goes into a decision (signals) and what comes out (events).

Signals are named for what reached the run, events for what is now true.  What must be done because of an
event is read off the event itself: `AttemptStarted` is a call to send, `TaskOpened` a person to ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.domain.json_reader import Json
from app.domain.runs.calls import Outcome
from app.domain.states import RunStatus, TaskOrigin, TaskOutcome


# Signals
@dataclass(frozen=True, slots=True)
class Proceed:
    """A worker holds the run and may do its next step."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The try numbered `attempt` of `step` came to `outcome`."""

    step: str
    attempt: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The worker that held the run gives no sign any more."""


@dataclass(frozen=True, slots=True)
class TaskActed:
    """A person acted on the run's open task."""

    outcome: TaskOutcome
    by: str
    values: Mapping[str, Json]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """A person asks for the failed step to be tried again."""

    by: str


@dataclass(frozen=True, slots=True)
class Done:
    """A person says that the failed step was done, with the values that it would have captured."""

    by: str
    values: Mapping[str, Json]
    reason: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """A person asks for the run to end."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Supersede:
    """The grant changed: the run is to end now if its intent no longer holds and nothing is under way."""


Signal = Proceed | Answered | WorkerLost | TaskActed | Retry | Done | Cancel | Supersede


# Events
@dataclass(frozen=True, slots=True)
class RunStarted:
    pass


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A call is to be sent: try `attempt` of `step`, the `tries`-th of `of` in this set."""

    step: str
    attempt: int
    tries: int
    of: int


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A try has its outcome. `edge` says in words where the run goes from here.

    `branched`: the step's author sends answers of this status there, so it is neither a success nor a failure.
    """

    step: str
    attempt: int
    outcome: Outcome
    edge: str
    unknown: bool = False
    next_attempt_at: datetime | None = None
    branched: bool = False


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """The step is tried again at `due`. Without `costs_try` the try just made does not count: nothing was sent, or
    the other system has been saying since `waits_since` that it is not ready."""

    step: str
    due: datetime
    costs_try: bool = True
    waits_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class StepSkipped:
    """A condition of the step does not hold, so that nothing is done for it. `attempt` numbers its entry."""

    step: str
    attempt: int
    why: str
    edge: str


@dataclass(frozen=True, slots=True)
class StepDone:
    """A person says that the step was done. `attempt` numbers the entry on the timeline."""

    step: str
    attempt: int
    by: str
    reason: str
    edge: str
    values: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class TaskOpened:
    """A person is asked; the run waits. `attempt` numbers the step's entry on the timeline."""

    step: str
    attempt: int
    origin: TaskOrigin
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class TaskClosed:
    """The open task was acted on, or became obsolete (`outcome` None)."""

    step: str
    attempt: int
    outcome: TaskOutcome | None
    edge: str = ""


@dataclass(frozen=True, slots=True)
class StepCaptured:
    """Values that later steps may name. An answer's take the place of all that the step found before."""

    step: str
    values: Mapping[str, Json]
    answered: bool = False


@dataclass(frozen=True, slots=True)
class FailureIgnored:
    """The run goes on in spite of this failure."""

    step: str


@dataclass(frozen=True, slots=True)
class CompensationStarted:
    step: str


@dataclass(frozen=True, slots=True)
class StepReached:
    """The run's next step is `step`; None when nothing is left but to end."""

    step: str | None


@dataclass(frozen=True, slots=True)
class StepFailed:
    """The step has failed for good in this set of tries: what the run will show as its failure.

    `unknown` says that an answer was lost, in this try or an earlier one of the set.
    """

    step: str
    outcome: Outcome
    unknown: bool


@dataclass(frozen=True, slots=True)
class ConnectionAwaited:
    """The run waits before `step`, whose connection is parked. `gives_back`: the try just made does not count."""

    step: str
    connection: str
    gives_back: bool = False


@dataclass(frozen=True, slots=True)
class RunResumed:
    """A person's act moves the run on; a worker takes it from here."""

    by: str


@dataclass(frozen=True, slots=True)
class RetryRequested:
    step: str | None
    by: str


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """The worker died on `step`, the `deaths`-th time in this set of tries. `costs_try` counts this try."""

    step: str | None
    deaths: int
    costs_try: bool = True


@dataclass(frozen=True, slots=True)
class CancelRequested:
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    status: RunStatus
    why: str = ""


Event = (
    RunStarted
    | AttemptStarted
    | AttemptEnded
    | RetryScheduled
    | StepSkipped
    | StepDone
    | TaskOpened
    | TaskClosed
    | StepCaptured
    | FailureIgnored
    | CompensationStarted
    | StepReached
    | StepFailed
    | ConnectionAwaited
    | RunResumed
    | RetryRequested
    | WorkerDied
    | CancelRequested
    | RunEnded
)
