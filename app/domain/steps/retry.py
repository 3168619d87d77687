"""When a call is tried again after a failure, and asked again while the other system is not ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from app.domain.json_reader import Json, Reader
from app.domain.steps.conditions import Conditions, conditions_to_json, read_conditions
from app.domain.steps.statuses import NONE, StatusSet, describe_statuses, read_statuses, statuses_to_json

MAX_ATTEMPTS = 10
MAX_DELAY_SECONDS = 3_600
MAX_POLL_SECONDS = 7 * 24 * 3_600

Backoff = Literal["fixed", "exponential"]
LostAnswer = Literal["resend", "ask"]

RETRY_MEMBERS = (
    "attempts", "backoff", "delay_seconds", "wait_statuses", "lost_answer", "wait_when", "poll",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Poll:
    """How often, and for how long in all, a system is asked again that says “not yet”."""

    every_seconds: int | None = None
    for_seconds: int = 3_600

    @property
    def words(self) -> str:
        """`asks every 10 s for up to 1 h`."""
        often = f"every {span(self.every_seconds)}" if self.every_seconds else "again"
        return f"asks {often} for up to {span(self.for_seconds)}"


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when a transient failure is tried again. `attempts` counts all tries, so 1 is off.

    An answer whose status is one of `wait_statuses`, or that meets `wait_when`, means “not yet”: it is asked for
    again as `poll` says, which spends no try.
    """

    attempts: int = 1
    backoff: Backoff = "exponential"
    delay_seconds: float = 1
    wait_statuses: StatusSet = NONE
    lost_answer: LostAnswer = "resend"
    wait_when: Conditions = ()
    poll: Poll = Poll()

    @property
    def is_on(self) -> bool:
        return self.attempts > 1

    @property
    def waits(self) -> bool:
        """Whether any answer means “not yet”."""
        return bool(self.wait_statuses or self.wait_when)

    @property
    def waits_in_words(self) -> str:
        """`Not yet while $.status is pending: asks every 10 s for up to 1 h`."""
        when = [f"on {describe_statuses(self.wait_statuses)}"] if self.wait_statuses else []
        if self.wait_when:
            when.append("while " + " and ".join(one.words for one in self.wait_when))
        return f"Not yet {' or '.join(when)}: {self.poll.words}"


NO_RETRY = Retry()


def span(seconds: int) -> str:
    """A time in its largest whole unit: `10 s`, `90 min`, `1 h`, `2 days`."""
    for size, word in ((86_400, "day"), (3_600, "h"), (60, "min")):
        if seconds and seconds % size == 0:
            count = seconds // size
            return f"{count} {word}{'s' if word == 'day' and count > 1 else ''}"
    return f"{seconds} s"


def read_retry(reader: Reader) -> Retry:
    raw = reader.members("retry")
    if not raw:
        return NO_RETRY
    inner = reader.inner("retry", raw)
    inner.refuse_unknown(RETRY_MEMBERS, "Retry")
    backoff = inner.choice("backoff", ("fixed", "exponential"), default=NO_RETRY.backoff)
    lost = inner.choice("lost_answer", ("resend", "ask"), default=NO_RETRY.lost_answer)
    return Retry(
        attempts=inner.whole("attempts", low=1, high=MAX_ATTEMPTS, default=NO_RETRY.attempts),
        backoff=cast(Backoff, backoff),
        delay_seconds=inner.number(
            "delay_seconds", low=0, high=MAX_DELAY_SECONDS, default=NO_RETRY.delay_seconds
        ),
        wait_statuses=read_statuses(inner, "wait_statuses", NO_RETRY.wait_statuses),
        lost_answer=cast(LostAnswer, lost),
        wait_when=read_conditions(inner, "wait_when", "path"),
        poll=_read_poll(inner),
    )


def _read_poll(reader: Reader) -> Poll:
    raw = reader.members("poll")
    if not raw:
        return Poll()
    inner = reader.inner("poll", raw)
    inner.refuse_unknown(("every_seconds", "for_seconds"), "Waiting")
    every = inner.whole("every_seconds", low=1, high=MAX_DELAY_SECONDS, default=0)
    longest = inner.whole("for_seconds", low=1, high=MAX_POLL_SECONDS, default=Poll().for_seconds)
    return Poll(every or None, longest)


def retry_to_json(retry: Retry) -> dict[str, Json]:
    return {
        "attempts": retry.attempts,
        "backoff": retry.backoff,
        "delay_seconds": retry.delay_seconds,
        "wait_statuses": statuses_to_json(retry.wait_statuses),
        "lost_answer": retry.lost_answer,
        **({"wait_when": conditions_to_json(retry.wait_when, "path")} if retry.wait_when else {}),
        **({"poll": poll_to_json(retry.poll)} if retry.poll != Poll() else {}),
    }


def poll_to_json(poll: Poll) -> dict[str, Json]:
    every: dict[str, Json] = {} if poll.every_seconds is None else {"every_seconds": poll.every_seconds}
    return {**every, "for_seconds": poll.for_seconds}
