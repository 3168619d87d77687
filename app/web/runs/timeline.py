"""The timeline as it is drawn: cards of consecutive calls of one step, single lines of events, their buttons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, takewhile

from app.domain.remedies.failure import Action, Remedy
from app.domain.remedies.links import Place, Where, places
from app.domain.states import FailureClass
from app.domain.steps.base import StepType
from app.models import AttemptStatus, Run
from app.models.bulk_retry import job_named
from app.permissions import Actor, may
from app.queries.run_words import failure_words, in_backoff
from app.queries.system import may_see_system
from app.queries.timeline import Entry
from app.web.template_filters import duration

SYSTEM_HEALTH = "/system"


@dataclass(frozen=True, slots=True)
class Button:
    """One button of a remedy. `reason` is why the reader may not press it, "" when they may.

    `is_retry` marks the one that is sent and not followed, `act` the ways on of a failed run (`run_words.Actions`).
    """

    label: str
    href: str
    reason: str = ""
    is_retry: bool = False
    act: str = ""


def buttons_for(entry: Entry, run: Run, actor: Actor) -> list[Button]:
    """The buttons beside the remedy of `entry`, the one that mends it first."""
    return remedy_buttons(entry.remedy, entry.where(run), actor)


def remedy_buttons(remedy: Remedy | None, where: Where, actor: Actor) -> list[Button]:
    """The buttons of a remedy for what is at `where`; none without a remedy."""
    return [
        Button(
            one.label,
            one.href,
            _lacking(one, actor),
            is_retry=one.action is Action.RETRY,
            act=_ACTS.get(one.action, ""),
        )
        for one in (places(remedy, where) if remedy is not None else ())
    ]


_ACTS = {Action.RETRY: "retry", Action.TYPE_VALUES: "done", Action.DONE: "done", Action.REPLAY: "replay"}


def task_page(task_id: int) -> str:
    """The page of a task for a person."""
    return f"/tasks/{task_id}"


def _lacking(place: Place, actor: Actor) -> str:
    if place.action is Action.SYSTEM_HEALTH and may_see_system(actor):
        return ""
    return "" if may(actor, place.permission) else f"Needs {place.permission}. Ask an administrator."


S = AttemptStatus

_EVENT_ICONS = {
    "retried": "retry",
    "replayed": "replay",
    "resumed": "play",
    "recovered": "server",
    "reminded": "server",
    "stood_still": "server",
    "waits": "clock",
    "goes_on": "play",
    "waits_no_longer": "alert",
    "cancel_requested": "cancel",
    "superseded": "superseded",
    "unreadable_version": "alert",
}


@dataclass(frozen=True, slots=True)
class Look:
    """A chip of one try: tone, label and, where it is not the tone's own, icon."""

    tone: str
    label: str
    icon: str = ""


_LOOKS = {
    S.STARTED: Look("run", "Running"),
    S.SUCCEEDED: Look("ok", "Succeeded"),
    S.FAILED: Look("bad", "Failed"),
    S.WAITING: Look("wait", "Waiting (manual)"),
    S.SUBMITTED: Look("ok", "Submitted"),
    S.SKIPPED: Look("idle", "Skipped", "dash"),
    S.BRANCHED: Look("idle", "Another way", "right"),
    S.RETRIED: Look("idle", "Sent again", "retry"),
    S.OBSOLETE: Look("idle", "Not needed", "dash"),
}


@dataclass(frozen=True, slots=True)
class Try:
    """One line of a card's list of tries."""

    entry: Entry
    look: Look
    note: str


@dataclass(frozen=True, slots=True)
class StepCard:
    """Consecutive calls of one step, or a person's turn. `last` is the newest; `is_open` unfolds it at once.

    `is_failure` marks the card that failed the run: the one that the page points to.
    """

    id: str
    title: str
    look: Look
    meta: Sequence[str]
    tries: Sequence[Try]
    last: Entry
    words: str
    edge: str
    buttons: Sequence[Button]
    is_open: bool
    is_failure: bool

    @property
    def details_id(self) -> str:
        """Another one once it opens by itself: the same element would stay as the reader left it."""
        return f"{self.id}-{'opened' if self.is_open else 'details'}"


@dataclass(frozen=True, slots=True)
class EventLine:
    """Something that a person or the system did in between; `bulk_retry` is the job that did it, if one did."""

    id: str
    text: str
    icon: str
    at: datetime
    bulk_retry: int | None = None


def draw(entries: Sequence[Entry], run: Run, actor: Actor, now: datetime) -> list[StepCard | EventLine]:
    """What the timeline shows, top to bottom."""
    newest = next((one for one in reversed(entries) if one.kind == "attempt"), None)
    drawn: list[StepCard | EventLine] = []
    for (kind, *_), group in groupby(entries, key=lambda one: (one.kind, one.step, one.task_id is None)):
        if kind == "event":
            drawn += [_line(one) for one in group]
        else:
            drawn.append(_card(list(group), newest, run, actor, now))
    return drawn


def failed_entry(entries: Iterable[Entry], run: Run) -> Entry | None:
    """The try that failed the run, or None."""
    if run.failure_step is None:
        return None
    failed = (one for one in entries if one.step == run.failure_step and one.outcome is S.FAILED)
    return max(failed, key=lambda one: one.number or 0, default=None)


def _line(entry: Entry) -> EventLine:
    icon = _EVENT_ICONS.get(entry.event or "", "info")
    return EventLine(entry.id, entry.message, icon, entry.at, job_named(entry.by))


def _card(group: list[Entry], newest: Entry | None, run: Run, actor: Actor, now: datetime) -> StepCard:
    last = group[-1]
    is_newest = last is newest
    waits = is_newest and in_backoff(run, now)
    is_failure = run.status == "failed" and last is failed_entry(group, run) and last.outcome is S.FAILED
    name = last.step_name or last.step or ""
    return StepCard(
        id=group[0].id,
        title=f"{last.step_number}. {name}" if last.step_number else name,
        look=_retrying(last, run) if waits else _look(last),
        meta=_meta(last),
        tries=[_try(one) for one in _folded(group)],
        last=last,
        words=_words(group, run),
        edge=_edge(last),
        buttons=[one for one in buttons_for(last, run, actor) if is_failure or not one.act]
        if last.outcome is S.FAILED
        else [],
        is_open=last.outcome is S.FAILED and not waits,
        is_failure=is_failure,
    )


def _words(group: Sequence[Entry], run: Run) -> str:
    """What is said of the newest try, where its chip and its facts do not say it."""
    last = group[-1]
    if last.failure_class is FailureClass.WAIT:
        return _asked_words(_polls(group), run)
    told = last.task_id is not None or last.outcome in (S.SUBMITTED, S.SKIPPED, S.BRANCHED)
    return last.message if told else (last.detail or "") if last.outcome is S.SUCCEEDED else ""


def _is_poll(entry: Entry) -> bool:
    return entry.failure_class is FailureClass.WAIT


def _polls(group: Sequence[Entry]) -> list[Entry]:
    """The tries at the end of `group` to all of which the other system said “not yet”."""
    return list(reversed(list(takewhile(_is_poll, reversed(group)))))


def _asked_words(polls: Sequence[Entry], run: Run) -> str:
    """`Asked 37 times since 10:02, last HTTP 202 Accepted; asked again at 10:07 UTC.`"""
    last = polls[-1]
    times = f"Asked {len(polls):,} times" if len(polls) > 1 else "Asked once"
    again = last.next_attempt_at if run.status == "running" else None
    then = f"; asked again at {again:%H:%M:%S} UTC" if again else ""
    said = failure_words(last.failure_class, last.http_status)
    return f"{times} since {polls[0].at:%H:%M} UTC, last {said}{then}."


def _folded(group: Sequence[Entry]) -> Iterator[tuple[Entry, int]]:
    """The newest of tries in a row to which the answer was “not yet”, with how many there were; others one by one."""
    for polls, some in groupby(group, key=_is_poll):
        several = list(some)
        yield from [(several[-1], len(several))] if polls else [(one, 1) for one in several]


def _try(folded: tuple[Entry, int]) -> Try:
    entry, count = folded
    note = _note(entry)
    return Try(entry, _look(entry), f"{note}, {count:,} times in a row" if count > 1 else note)


def _look(entry: Entry) -> Look:
    assert entry.outcome is not None
    if entry.outcome is S.SUBMITTED and entry.task_origin != "human_task":
        return Look("ok", "Done by hand")
    return _LOOKS[entry.outcome]


def _retrying(entry: Entry, run: Run) -> Look:
    at = entry.next_attempt_at
    which = f" {run.tries + 1} of {entry.of}" if entry.of else ""
    what = f"Retrying{which}" if run.tries else "Asks again" if _is_poll(entry) else "Next try"
    return Look("run", what + (f" at {at:%H:%M:%S} UTC" if at else ""), "clock")


def _meta(entry: Entry) -> list[str]:
    kind = StepType(entry.step_type).label if entry.step_type else ""
    facts = ["Compensation" if entry.compensation else "", _kind(entry, kind)]
    facts.append(failure_words(entry.failure_class, entry.http_status) if entry.kind == "attempt" else "")
    if entry.of and entry.of > 1:
        facts.append(f"attempt {entry.attempt} of {entry.of}")
    if entry.duration_ms is not None:
        facts.append(f"took {duration(entry.duration_ms)}")
    elif entry.task_id is not None and entry.finished_at is not None:
        facts.append(f"waited {duration((entry.finished_at - entry.at).total_seconds() * 1000)}")
    return [one for one in facts if one]


def _edge(entry: Entry) -> str:
    if not entry.edge:
        return ""
    if entry.outcome in (S.RETRIED, S.BRANCHED, S.SKIPPED) or _is_poll(entry):
        return entry.edge[0].upper() + entry.edge[1:]
    return f"{'Failure' if entry.outcome is S.FAILED else 'Success'} → {entry.edge}"


def _kind(entry: Entry, kind: str) -> str:
    return "Escalated failure" if entry.task_origin == "escalated_failure" else kind


def _note(entry: Entry) -> str:
    words = failure_words(entry.failure_class, entry.http_status)
    said = entry.failure_class is FailureClass.OUTCOME_UNKNOWN
    unknown = "outcome unknown" if entry.outcome_unknown and not said else ""
    return ", ".join(one for one in (words, unknown) if one)
