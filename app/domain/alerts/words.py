"""Alerts in words: what is seen, why, what to do, and the page that helps. Counts and names, nothing that was sent.

A person without a name is called by number: an address is more than a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlencode

from app.domain.alerts.rules import LISTED, AlertKind, AlertText, Matter
from app.domain.remedies.failure import Remedy
from app.domain.runs.breaker import BreakerState

_LONGEST_TITLE = 300


def failures(
    *,
    application: str,
    step: str,
    what: str,
    where: Mapping[str, object],
    runs: int,
    people: int,
    since: datetime,
    remedy: Remedy | None,
) -> AlertText:
    """A group of failures with one cause. `what` is the cause in words, `where` the filters of its list of runs."""
    query = urlencode({name: value for name, value in where.items() if value is not None})
    lines = [
        f"{_count(runs, 'run')} of {_count(people, 'person', 'people')} failed there since {clock(since)}."
    ]
    if remedy is not None:
        lines += [remedy.title, remedy.why, remedy.todo]
    return _alert_text(f"{application}: “{step}” fails ({what})", lines, f"/runs?{query}")


def grown(alert_text: AlertText, level: int, before: int) -> AlertText:
    """The same matter, ten times as large as when it was last told."""
    return _alert_text(
        f"{alert_text.title}: {level:,} now",
        [f"It was {before:,} when it was last told.", *alert_text.lines],
        alert_text.path,
    )


def resolved(kind: AlertKind, title: str, path: str) -> AlertText:
    """The end of a matter that was told."""
    words = {
        AlertKind.FAILURES: "No run stands failed there any more.",
        AlertKind.REVOKE_FAILED: "No revoke stands failed there any more.",
        AlertKind.CONNECTION_PARKED: "It answers again, and no run waits for it any more.",
        AlertKind.STANDSTILL: "It goes on again.",
    }
    return _alert_text(f"Resolved: {title}", [words[kind]], path)


def revoke_failed(*, application: str, application_id: int, people: int) -> AlertText:
    """People whose access was revoked here and may still be there."""
    who = "1 person" if people == 1 else f"{people:,} people"
    lines = [
        f"The revoke of {who} failed: access that should be gone may still be there.",
        "Open the run, mend what it says, and retry. Until then look in the application itself.",
    ]
    query = urlencode({"status": "attention", "trigger": "access_revoked", "application": application_id})
    return _alert_text(f"{application}: access that should be gone", lines, f"/runs?{query}")


def connection_parked(
    *,
    connection: str,
    connection_id: int,
    application: str,
    state: BreakerState,
    by: str,
    until: datetime | None,
    was_parked_at: datetime | None = None,
) -> AlertText:
    """A connection that no call goes out on for now. `by` and `until` belong to a parking by hand.

    `was_parked_at` is when one was parked that is in use again by now.
    """
    if was_parked_at is not None:
        lines = [
            f"It was parked at {clock(was_parked_at)}, and is in use again.",
            "Runs that reached it meanwhile waited and go on.",
        ]
        return _alert_text(
            f"{application}: connection “{connection}” was parked", lines, f"/connections/{connection_id}"
        )
    match state:
        case BreakerState.HELD:
            end = f" until {clock(until)}" if until is not None else ""
            # Somebody without a name is called by their address elsewhere, which is more than a name.
            who = by if by and "@" not in by else "Somebody"
            lines = [f"{who} parked it{end}. Runs go on by themselves afterwards."]
        case BreakerState.REFUSED:
            lines = [
                "It refused the credential several times, and is not asked again, so that the account is not locked.",
                "Replace the credential, then use Test connection: the runs that wait go on by themselves.",
            ]
        case _:
            lines = [
                "Calls to it failed. It is asked until it answers, and runs then go on by themselves.",
                "There is nothing to retry. Use Test connection to see what it says now.",
            ]
    waits = "Runs that reach it wait, and spend no try."
    return _alert_text(
        f"{application}: connection “{connection}” is parked",
        [waits, *lines],
        f"/connections/{connection_id}",
    )


def worker_lost(name: str, *, seen_at: datetime, in_flight: int, others: int) -> AlertText:
    """A worker that went silent without having stopped in good order."""
    held = f"It held {_count(in_flight, 'run')}, which others take over." if in_flight else "It held no run."
    rest = (
        f"{_count(others, 'other worker')} online."
        if others
        else "No other worker is online: runs wait for one."
    )
    return _alert_text(
        f"Worker {name} was lost", [f"Its last sign was at {clock(seen_at)}.", held, rest], "/system"
    )


def runs_adrift(reasons: Mapping[str, int], runs: Sequence[int]) -> AlertText:
    """Open runs that nothing moves, by number, and counted by why."""
    count = sum(reasons.values())
    more = f" and {count - LISTED:,} more" if count > LISTED else ""
    lines = [
        *(f"{_count(number, 'run')}: {words}." for words, number in reasons.items()),
        f"By number: {', '.join(str(one) for one in runs[:LISTED])}{more}.",
        "Nothing moves them by themselves, and later runs of the same person and application wait behind them.",
        "See that workers and sweeper are at work, and restart them. Cancel and replay what then still stands.",
    ]
    return _alert_text(f"{_count(count, 'run')} stand{'s' if count == 1 else ''} still", lines, "/system")


def duty_failing(duty: str, *, since: datetime, problem: str) -> AlertText:
    """Something that the sweeper could not do pass after pass."""
    lines = [
        f"It fails at every pass since {clock(since)} ({problem}); what else the sweeper does goes on.",
        "The sweeper's log says why (sweep.duty_failed). It is tried again at every pass.",
    ]
    return _alert_text(f"The sweeper could not {duty}", lines, "/system")


def task_assigned(
    *, step: str, application: str, person: str, task_id: int, due_at: datetime | None
) -> AlertText:
    """A task that waits for the person, or the group, who is told."""
    due = [f"It is due by {clock(due_at)}."] if due_at is not None else []
    return _alert_text(
        f"A task waits for you: “{step}” on {application}",
        [f"It is about the access of {person}.", *due, "The run goes on when it is done."],
        f"/tasks/{task_id}",
    )


def task_due(
    *, step: str, application: str, person: str, task_id: int, due_at: datetime, is_late: bool
) -> AlertText:
    """A task whose time is nearly, or altogether, over."""
    head = "Overdue" if is_late else "Due soon"
    when = f"It was due by {clock(due_at)}." if is_late else f"It is due by {clock(due_at)}."
    return _alert_text(
        f"{head}: “{step}” on {application}",
        [f"It is about the access of {person}.", when],
        f"/tasks/{task_id}",
    )


def tasks_waiting(*, step: str, application: str, application_id: int, count: int) -> AlertText:
    """Tasks that anyone with the permission may do."""
    waits = "1 task waits" if count == 1 else f"{count:,} tasks wait"
    lines = [f"{waits} for anyone who may complete tasks.", "Their runs go on when they are done."]
    return _alert_text(
        f"{application}: “{step}” needs a person", lines, f"/tasks?application={application_id}"
    )


def grant_expires(*, person: str, application: str, grant_id: int, expires_at: datetime) -> AlertText:
    """Access that the system revokes by itself soon."""
    lines = [
        f"The access of {person} expires on {clock(expires_at)} and is then revoked.",
        "If it is to stay, change its expiry on the grant's page before then.",
    ]
    return _alert_text(f"{person}: access to {application} expires soon", lines, f"/grants/{grant_id}")


def digest(
    *, day: str, failed: Sequence[str], fixed: Sequence[str], still_open: Sequence[str], overdue: int
) -> AlertText:
    """The day's summary."""
    late = [f"{_count(overdue, 'task')} overdue."] if overdue else []
    return _alert_text(
        f"Daily digest, {day}",
        [
            f"Since yesterday: {len(failed)} began, {len(fixed)} resolved. Still open: {len(still_open)}.",
            *_listed("Began", failed),
            *_listed("Resolved since", fixed),
            *_listed("Still open", still_open),
            *late,
        ],
        "/",
    )


def test(by: str) -> AlertText:
    """What a person sends to see that it arrives."""
    return _alert_text(
        "Test alert", [f"{by} sent this to see that alerts arrive. There is nothing to do."], "/system/alerts"
    )


def together(kind: AlertKind, matters: Sequence[Matter]) -> AlertText:
    """Several matters of one kind, found at the same look, in one message."""
    if len(matters) == 1:
        return matters[0].alert_text
    count = len(matters)
    title, path = {
        AlertKind.WORKER_LOST: (f"{count} workers were lost", "/system"),
        AlertKind.STANDSTILL: (f"{count} things stand still", "/system"),
        AlertKind.TASK_ASSIGNED: (f"{count} tasks wait for you", "/tasks?show=mine"),
        AlertKind.TASK_DUE_SOON: (f"{count} tasks are due soon", "/tasks?show=mine"),
        AlertKind.TASK_OVERDUE: (f"{count} tasks are overdue", "/tasks?show=overdue"),
        AlertKind.GRANT_EXPIRES: (f"Access of {count} grants expires soon", "/applications"),
    }[kind]
    return _alert_text(title, _listed("", [one.alert_text.title for one in matters]), path)


def person(first_name: str, last_name: str, number: int) -> str:
    """How messages call a person."""
    return f"{first_name} {last_name}".strip() or f"person {number}"


def clock(at: datetime) -> str:
    """A moment as messages have it: `27 Nov 2026, 09:05 UTC`."""
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def _listed(head: str, items: Sequence[str]) -> list[str]:
    if not items:
        return []
    more = [f"and {len(items) - LISTED:,} more"] if len(items) > LISTED else []
    return [*([f"{head}:"] if head else []), *(f"• {one}" for one in items[:LISTED]), *more]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _alert_text(title: str, lines: Sequence[str], path: str) -> AlertText:
    """One line each: a name with a line break in it forges no line."""
    clean = [" ".join(line.split()) for line in lines]
    return AlertText(" ".join(title.split())[:_LONGEST_TITLE], tuple(line for line in clean if line), path)
