"""When a connection is parked, and how it comes back: an outage costs the runs that wait nothing.

Pure: what was seen and the time go in, the breaker's next state comes out.  The caller stores it, makes the probe
that `next_act` asks for, and lets go on as many waiting runs as it says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass

# So many runs, one after the other, that met no answer: fewer may be bad luck, and take their failure edge.
FAILURES = 10
WINDOW_SECONDS = 300
# So many refusals in a row; systems lock an account after a few more.
REFUSALS = 5
FIRST_PROBE_SECONDS = 15
LONGEST_PROBE_SECONDS = 300
# For how long a probe is the matter of the process that makes it.
PROBE_LEASE = timedelta(seconds=60)
# The one that was let through may never make its call: it was cancelled, or there is no worker.
TRIAL_LASTS = timedelta(seconds=150)
# So many trials in vain in a row, with the health path answering before each: what calls say counts for more.  From
# then on trials follow one another quickly, and a run that met the failure so often before fails for itself.
PATIENCE = 6
MET_BEFORE = 2
FIRST_DRAINED = 2
DRAIN_RATE = 1.0
FULL_DRAIN_RATE = 10.0
MOST_DRAINED = 100

# Where a run goes from a try that met the outage, as the timeline says it.
WAITS = "waits for the connection"
OUTAGE = frozenset({FailureClass.HTTP_5XX, FailureClass.TIMEOUT, FailureClass.NETWORK})


class BreakerState(StrEnum):
    """Where a connection stands. `label` is the word on the screen, `tone` the look of its chip."""

    CLOSED = "closed"
    WATCHED = "watched"
    PARKED = "parked"
    REFUSED = "refused"
    HELD = "held"
    TRIAL = "trial"
    DRAINING = "draining"

    @property
    def label(self) -> str:
        return _LABELS[self]

    @property
    def tone(self) -> str:
        return _TONES[self]

    @property
    def is_parked(self) -> bool:
        """No run's call goes out."""
        return self in (S.PARKED, S.REFUSED, S.HELD)

    @property
    def lets_through(self) -> bool:
        """Only runs that were let through one by one go on."""
        return self in (S.TRIAL, S.DRAINING)

    @property
    def is_quiet(self) -> bool:
        """Nothing is held up."""
        return self in (S.CLOSED, S.WATCHED)


S = BreakerState
_LABELS = {
    S.CLOSED: "In use",
    S.WATCHED: "In use",
    S.PARKED: "Parked",
    S.REFUSED: "Credential refused",
    S.HELD: "Parked by hand",
    S.TRIAL: "Trying one run",
    S.DRAINING: "Going on",
}
_TONES = {
    S.CLOSED: "ok",
    S.WATCHED: "ok",
    S.PARKED: "wait",
    S.REFUSED: "bad",
    S.HELD: "wait",
    S.TRIAL: "run",
    S.DRAINING: "run",
}


class Seen(StrEnum):
    """What an answer, or the want of one, says about the connection."""

    DONE = "done"
    ALIVE = "alive"
    DOWN = "down"
    REFUSED = "refused"


class Act(StrEnum):
    """What is to be done about a breaker now."""

    PROBE = "probe"
    RELEASE = "release"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """What a connection's settings say. `failures` counts runs, each once: so many park it, and 0 says never.

    `has_probe` says whether it has a health path to ask; a webhook only receives.
    """

    failures: int = FAILURES
    window: timedelta = timedelta(seconds=WINDOW_SECONDS)
    has_probe: bool = True

    @property
    def is_on(self) -> bool:
        return self.failures > 0


@dataclass(frozen=True, slots=True)
class Failed:
    """When a call failed, and of which run."""

    at: datetime
    run: int


@dataclass(frozen=True, slots=True)
class Breaker:
    """A connection's breaker.

    `failures` are those since the last answer, `refusals` the credential's refusals in a row.
    `since` is when this state began, `parked_at` when the connection was parked first in this outage.  `until` ends
    a parking by hand, `next_at` is the time of the next probe or release, `probes` counts those that failed.
    `drained_at` and `rate` (runs a second) pace the going on.  `trial_run_id` is the run of the last trial,
    `vain` counts the trials in a row that failed although the health path answered.
    """

    state: BreakerState = S.CLOSED
    failures: tuple[Failed, ...] = ()
    refusals: int = 0
    since: datetime | None = None
    parked_at: datetime | None = None
    until: datetime | None = None
    next_at: datetime | None = None
    probes: int = 0
    drained_at: datetime | None = None
    rate: float = DRAIN_RATE
    trial_run_id: int | None = None
    vain: int = 0


def seen(outcome: Outcome) -> Seen | None:
    """What an outcome says about its connection; None when it says nothing, such as a worker's death.

    Whatever answers is there, a 404 as well.  "Not yet" says neither.
    """
    if outcome.ok:
        return Seen.DONE
    if outcome.ours or outcome.failure in (FailureClass.WAIT, FailureClass.OUTCOME_UNKNOWN):
        return None
    if outcome.failure in OUTAGE:
        return Seen.DOWN
    if outcome.refused or (outcome.http_status == 401 and outcome.failure is FailureClass.HTTP_4XX):
        return Seen.REFUSED
    return Seen.ALIVE if outcome.http_status is not None else None


def matters(state: BreakerState, what: Seen | None) -> bool:
    """Whether `observe` can change a breaker in this state: healthy answers of a healthy connection do not."""
    if what is None or state.is_parked:
        return False
    return what in (Seen.DOWN, Seen.REFUSED) or state is not S.CLOSED


def observe(breaker: Breaker, what: Seen, now: datetime, rules: BreakerRules, *, run: int) -> Breaker:
    """The breaker after a call of that run came to `what`."""
    if breaker.state.is_parked:
        return breaker  # it left before the parking, which ends by a probe or a person
    if not rules.is_on:
        return _answers(replace(breaker, failures=(), refusals=0), now)
    if breaker.state is S.TRIAL and what in (Seen.DOWN, Seen.REFUSED) and run != breaker.trial_run_id:
        return breaker  # it left before the parking as well: it says how things were
    match what:
        case Seen.DOWN:
            return _down(breaker, Failed(now, run), rules)
        case Seen.REFUSED:
            refusals = breaker.refusals + 1
            if breaker.state is S.TRIAL or refusals >= REFUSALS:
                return _parked(replace(breaker, refusals=refusals), S.REFUSED, now)
            watched = S.WATCHED if breaker.state.is_quiet else breaker.state
            return _become(replace(breaker, failures=(), refusals=refusals), watched, now)
        case Seen.ALIVE:
            return _answers(replace(breaker, failures=()), now)
        case Seen.DONE:
            return _answers(replace(breaker, failures=(), refusals=0), now)


def _down(breaker: Breaker, failed: Failed, rules: BreakerRules) -> Breaker:
    now = failed.at
    if breaker.state is S.TRIAL:
        in_vain = breaker.vain + 1 if rules.has_probe else 0
        return _parked(replace(breaker, probes=breaker.probes + 1, vain=in_vain), S.PARKED, now)
    recent = [one for one in breaker.failures if now - one.at <= rules.window and one.run != failed.run]
    counted = replace(breaker, failures=(*recent, failed))
    if len(counted.failures) >= rules.failures:
        again = 1 if breaker.state is S.DRAINING else 0
        return _parked(replace(counted, probes=counted.probes + again), S.PARKED, now)
    return _become(counted, S.WATCHED if breaker.state.is_quiet else breaker.state, now)


def _answers(breaker: Breaker, now: datetime) -> Breaker:
    """The system answers: what was let through goes on, what was merely watched is forgotten."""
    if breaker.state is S.TRIAL:
        going_on = replace(_become(breaker, S.DRAINING, now), next_at=now, drained_at=None, rate=DRAIN_RATE)
        return replace(going_on, vain=0)
    if breaker.state is S.WATCHED and not breaker.refusals:
        return _become(breaker, S.CLOSED, now)
    return breaker


def _parked(breaker: Breaker, state: BreakerState, now: datetime) -> Breaker:
    parked = replace(_become(breaker, state, now), failures=(), parked_at=breaker.parked_at or now)
    wait = probe_delay(0 if breaker.vain >= PATIENCE else breaker.probes)
    return replace(parked, next_at=now + wait if state is S.PARKED else None)


def may_blame(breaker: Breaker, what: Seen) -> bool:
    """Whether one more failure may be its run's own, depending on how often that met it before.

    It may while others' calls succeed, and once trials have failed in a row that the health path spoke for.  Else
    requests that this system never manages would keep their runs waiting, and each other, for ever.
    """
    if what is not Seen.DOWN:
        return False
    return breaker.state is S.DRAINING or (breaker.state is S.TRIAL and breaker.vain >= PATIENCE)


def blames(breaker: Breaker, what: Seen, *, run: int, met: int) -> bool:
    """Whether the failure is its run's own, which met this outage `met` times before: it waits no longer."""
    its_turn = breaker.state is not S.TRIAL or run == breaker.trial_run_id
    return its_turn and met >= MET_BEFORE and may_blame(breaker, what)


def observe_blamed(breaker: Breaker, now: datetime, rules: BreakerRules, *, run: int) -> Breaker:
    """The breaker after a failure that is its run's own: a trial that says nothing, another run has the next one."""
    if breaker.state is S.TRIAL:
        return spent(breaker, now)
    return observe(breaker, Seen.DOWN, now, rules, run=run)


def spent(breaker: Breaker, now: datetime) -> Breaker:
    """The breaker after the trial's run left the connection without an answer that tells: it is another's turn."""
    return replace(breaker, next_at=now) if breaker.state is S.TRIAL else breaker


def probe_delay(failed: int) -> timedelta:
    """How long after the parking, or after the last of `failed` probes, the next one is made."""
    return timedelta(seconds=min(LONGEST_PROBE_SECONDS, FIRST_PROBE_SECONDS * 2 ** min(failed, 10)))


def _become(breaker: Breaker, state: BreakerState, now: datetime) -> Breaker:
    return breaker if breaker.state is state else replace(breaker, state=state, since=now)


def next_act(breaker: Breaker, *, now: datetime, rules: BreakerRules, waiting: bool) -> Act | None:
    """What is to be done now; `waiting` says whether any run waits for the connection."""
    if breaker.state.is_quiet:
        return (
            Act.RELEASE if waiting else None
        )  # it began to wait in the very moment in which all was well again
    if breaker.state is S.REFUSED or (breaker.next_at is not None and now < breaker.next_at):
        return None
    if breaker.state is S.DRAINING or breaker.state is S.TRIAL:
        return Act.RELEASE if waiting else Act.CLOSE
    if breaker.state is S.HELD and (breaker.until is None or now < breaker.until):
        return None
    if rules.has_probe:
        return Act.PROBE
    if waiting:
        return Act.RELEASE
    # Nothing speaks against a webhook whose maintenance is over.
    return Act.CLOSE if breaker.state is S.HELD else None


def probing(breaker: Breaker, now: datetime) -> Breaker:
    """A probe is being made: nobody else makes one meanwhile. A parking by hand whose time is over ends here."""
    parked = replace(_become(breaker, S.PARKED, now), until=None)
    return replace(parked, next_at=now + PROBE_LEASE)


def probed(breaker: Breaker, what: Seen | None, now: datetime) -> Breaker:
    """The breaker after the health path came to `what`; None when the probe could not be made at all."""
    if breaker.state is not S.PARKED:
        return breaker  # a person was quicker
    if what is Seen.REFUSED:
        return replace(_become(breaker, S.REFUSED, now), next_at=None)
    if what in (Seen.ALIVE, Seen.DONE):
        return tried(breaker, now)
    in_vain = breaker.probes + 1
    return replace(breaker, probes=in_vain, vain=0, next_at=now + probe_delay(in_vain))


def tried(breaker: Breaker, now: datetime) -> Breaker:
    """Let one run through and see: the health path answered, a person said so, or there is nothing to probe."""
    if breaker.state.is_quiet or breaker.state.lets_through:
        return breaker
    return replace(_become(breaker, S.TRIAL, now), until=None, next_at=now, failures=(), refusals=0)


def to_release(breaker: Breaker, now: datetime) -> int:
    """How many of the waiting runs go on now, oldest first."""
    if breaker.state.is_quiet:
        return MOST_DRAINED
    if breaker.state is not S.DRAINING:
        return 1
    if breaker.drained_at is None:
        return FIRST_DRAINED
    elapsed = (now - breaker.drained_at).total_seconds()
    return max(1, min(MOST_DRAINED, int(elapsed * breaker.rate)))


def released(breaker: Breaker, now: datetime, *, first: int) -> Breaker:
    """The breaker after `to_release` runs were let go on, `first` the one of them that comes first."""
    if breaker.state.is_quiet:
        return breaker
    if breaker.state is not S.DRAINING:
        trial = replace(_become(breaker, S.TRIAL, now), until=None, trial_run_id=first)
        return replace(trial, next_at=now + TRIAL_LASTS)
    rate = breaker.rate if breaker.drained_at is None else min(FULL_DRAIN_RATE, 2 * breaker.rate)
    return replace(breaker, drained_at=now, next_at=now + timedelta(seconds=1), rate=rate)


def closed(breaker: Breaker, now: datetime) -> Breaker:
    """All is well again: nothing waits any more."""
    return breaker if breaker.state.is_quiet else Breaker(since=now)


def blame_words(name: str, met: int) -> str:
    """Why a run waits no longer for the connection called `name`, whose failure it met `met` times before."""
    return (
        f"Waits no longer: {name} answers, and this call failed {met + 1} times. "
        "That counts as the run’s own failure."
    )


def waiting_words(name: str, state: BreakerState) -> str:
    """Why a run waits for the connection called `name`, as its timeline says it."""
    match state:
        case S.REFUSED:
            return f"Waits: {name} refuses the credential."
        case S.HELD:
            return f"Waits: {name} was parked by hand."
        case S.TRIAL | S.DRAINING:
            return f"Waits: {name} is back, and runs go on a few at a time."
        case _:
            return f"Waits: {name} is parked, since calls to it failed."


def held(breaker: Breaker, until: datetime, now: datetime) -> Breaker:
    """Parked by a person until that time, whatever the connection's state was."""
    parked = replace(_become(breaker, S.HELD, now), parked_at=breaker.parked_at or now, failures=(), probes=0)
    return replace(parked, until=until, next_at=until)
