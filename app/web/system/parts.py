"""The parts of the console as cards: how each is, since when, what that means, and what to do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.config.settings import Settings
from app.domain.alerts.rules import Channel
from app.models import FailingDuty, Worker
from app.models.operations import ALIVE_WITHIN
from app.queries.alert_pages import Arrivals
from app.queries.liveness import COUNTED
from app.queries.system import ENOUGH, Paused, SystemFacts
from app.web.system.queue_watch import QueueState
from app.web.template_filters import absolute, distance, number, plural, up_to

WORKER = "python -m app.workers"
SWEEPER = "python -m app.workers.sweeper"
UPGRADE = "flask --app wsgi db upgrade"
INFO = 'redis-cli -u "$REDIS_URL" info'
EMBEDDED = "make run"


@dataclass(frozen=True, slots=True)
class Part:
    """One card. `tone` and `state` make its chip; `command` is what the one who mends it runs, "" for nothing."""

    id: str
    title: str
    tone: str
    state: str
    since: str
    means: str
    todo: str = ""
    command: str = ""

    @property
    def is_well(self) -> bool:
        return self.tone in ("ok", "idle")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with its words."""

    label: str
    value: str
    note: str
    tone: str = ""


def parts(  # a fact a card
    facts: SystemFacts,
    queue: QueueState,
    settings: Settings,
    *,
    started_at: datetime,
    migrated: bool,
    adrift: int = 0,
    failing: Sequence[FailingDuty] = (),
) -> list[Part]:
    """The cards, in the order in which a run passes through the parts."""
    return [
        *([_paused(facts.paused)] if facts.paused else []),
        *([_adrift(adrift)] if adrift else []),
        Part("web", "Web", "ok", "Answering", f"Started {absolute(started_at)}", "Pages and the API answer."),
        _database(migrated, settings),
        _queue(queue, settings),
        _workers(facts),
        _sweeper(facts, failing, settings),
    ]


def overall(found: Sequence[Part]) -> str:
    """All of it in one sentence."""
    ill = [one.title for one in found if not one.is_well]
    return f"Needs attention: {', '.join(ill)}." if ill else "Everything works."


def figures(facts: SystemFacts) -> list[Figure]:
    """The numbers, none of them counted further than it matters."""
    oldest = facts.oldest_queued_at
    waited = distance(oldest, facts.at).removesuffix(" ago") if oldest else "–"
    is_old = oldest is not None and facts.at - oldest > timedelta(seconds=60)
    return [
        Figure("Queued", up_to(facts.queued, ENOUGH), "runs that wait for a worker or their turn"),
        Figure("Oldest queued", waited, "how long it has waited", "wait" if is_old else ""),
        Figure("Running", up_to(facts.running, ENOUGH), "runs under way or in backoff"),
        Figure(
            "Failed", up_to(facts.failed, ENOUGH), "runs within the last hour", "bad" if facts.failed else ""
        ),
    ]


def sign_of(worker: Worker, now: datetime) -> str:
    """How long ago the worker gave a sign, in steps: a page that shows it stays true for a while."""
    age = now - worker.seen_at
    if age > ALIVE_WITHIN:
        return f"No sign since {absolute(worker.seen_at, seconds=True)} ({distance(worker.seen_at, now)})"
    return "Less than 15 s ago" if age < timedelta(seconds=15) else "15 to 30 s ago"


def _paused(held: Paused) -> Part:
    return Part(
        "runs",
        "Runs",
        "wait",
        "Paused",
        f"Since {absolute(held.since)}, by {held.by}",
        f"{held.because} Grants are recorded; their runs wait.",
    )


def _database(migrated: bool, settings: Settings) -> Part:
    kind = "SQLite, embedded" if settings.is_embedded_database else settings.database_url.partition(":")[0]
    kind = kind.partition("+")[0]
    if migrated:
        return Part(
            "database",
            "Database",
            "ok",
            "Answering",
            f"Asked just now ({kind})",
            "Grants are recorded and kept.",
        )
    return Part(
        "database",
        "Database",
        "bad",
        "Tables of another version",
        f"Asked just now ({kind})",
        "Some pages and runs fail until the tables are brought up to date.",
        "Bring the tables up to date.",
        UPGRADE,
    )


def _queue(queue: QueueState, settings: Settings) -> Part:
    problem = queue.problem
    if problem is None:
        return Part(
            "queue",
            "Queue (Redis)",
            "ok",
            "Answering",
            f"Asked just now: {plural(queue.waiting or 0, 'run number')} to be taken",
            "Workers hear of new runs at once.",
        )
    embedded = settings.is_embedded_redis and not problem.answers
    return Part(
        "queue",
        "Queue (Redis)",
        "bad",
        "Takes no run numbers" if problem.answers else "Does not answer",
        f"Noticed {absolute(queue.ill_since, seconds=True)}" if queue.ill_since else "Noticed just now",
        f"Redis {problem.what}. Grants are not affected. Workers are not told of new runs: they look for them by "
        "themselves every few seconds, so these start late. Nothing is lost, also when Redis comes back empty.",
        "Start it again with the console." if embedded else problem.todo,
        EMBEDDED if embedded else INFO,
    )


def _adrift(count: int) -> Part:
    """The card of runs that stand still."""
    return Part(
        "runs",
        "Runs",
        "bad",
        "Standing still",
        f"Asked just now: {plural(count, 'run')}{' or more' if count == COUNTED else ''}",
        "Nothing moves them by themselves, and later runs of the same person and application wait behind them.",
        "See that workers and sweeper are at work, and restart them. Cancel and replay what then still stands.",
    )


def _workers(facts: SystemFacts) -> Part:
    alive = facts.alive
    if alive:
        held = sum(one.in_flight for one in alive)
        room = sum(one.concurrency for one in alive)
        return Part(
            "workers",
            "Workers",
            "ok",
            f"{number(len(alive))} online",
            f"{number(held)} of {number(room)} runs in flight",
            "Runs are taken as they come."
            if held < room
            else "Every place is taken: new runs wait until one is free. More workers can be started.",
        )
    seen = facts.last_worker_at
    means = "Grants are not affected. Their runs stay queued, and start by themselves when a worker is back."
    if seen is None:
        return Part(
            "workers",
            "Workers",
            "bad",
            "None has ever connected",
            "No sign of one is on record; signs are kept for a day",
            means,
            "Start one.",
            WORKER,
        )
    since = f"None since {absolute(seen, seconds=True)} ({distance(seen, facts.at)})"
    return Part("workers", "Workers", "bad", "None online", since, means, "Start one.", WORKER)


def _sweeper(facts: SystemFacts, failing: Sequence[FailingDuty], settings: Settings) -> Part:
    swept = facts.swept_at
    patience = max(ALIVE_WITHIN, timedelta(seconds=3 * settings.sweep_seconds))
    if swept is not None and facts.at - swept <= patience and failing:
        return Part(
            "sweeper",
            "Sweeper",
            "bad",
            "Something fails",
            f"Since {absolute(min(one.since for one in failing))}",
            f"{' '.join(f'It could not {one.name} ({one.problem}).' for one in failing)} What else it does goes on.",
            "Look for sweep.duty_failed in its log, which says why. It tries again at every pass.",
        )
    if swept is not None and facts.at - swept <= patience:
        return Part(
            "sweeper",
            "Sweeper",
            "ok",
            "At work",
            f"Last pass within {int(patience.total_seconds())} s",
            "Runs of lost workers are taken back, and expired grants are revoked.",
        )
    means = (
        "Grants are not affected, but those that expire are not revoked. Runs whose worker died stay where they "
        "are, and what the queue lost is not found again."
    )
    if swept is None:
        return Part(
            "sweeper", "Sweeper", "bad", "Has never run", "No pass is on record", means, "Start one.", SWEEPER
        )
    since = f"Last pass {absolute(swept, seconds=True)} ({distance(swept, facts.at)})"
    return Part("sweeper", "Sweeper", "bad", "Silent", since, means, "Start one.", SWEEPER)


_ALERTS = "Alerts"


def alerts_part(channels: Collection[Channel], arrivals: Arrivals) -> Part:
    """Without mail and webhook alerts are seen by those who look, which is worth knowing and no fault."""
    last = f"Last one arrived {absolute(arrivals.last_at)}" if arrivals.last_at else "None has been sent yet"
    if not channels:
        return Part(
            "alerts",
            _ALERTS,
            "idle",
            "In the console only",
            "Neither SMTP_URL nor ALERT_WEBHOOK_URL is set",
            "Alerts show at the bell of everybody whom they concern. Nobody gets mail, so nobody hears of a failure "
            "who is not looking.",
            "Set SMTP_URL or ALERT_WEBHOOK_URL and start again.",
        )
    ways = " and ".join(one.label.lower() for one in sorted(channels))
    if not (arrivals.waiting or arrivals.given_up):
        means = f"They go out by {ways}, and show at everybody’s bell."
        return Part("alerts", _ALERTS, "ok", "Going out", last, means)
    troubles = [
        *([f"{plural(arrivals.waiting, 'message')} wait for another try"] if arrivals.waiting else []),
        *([f"{plural(arrivals.given_up, 'message')} could not be delivered"] if arrivals.given_up else []),
    ]
    return Part(
        "alerts",
        _ALERTS,
        "bad",
        "Not arriving",
        last,
        f"{' and '.join(troubles)}. {arrivals.problem} They show at everybody’s bell all the same.",
        "Check SMTP_URL and ALERT_WEBHOOK_URL, then send a test alert.",
    )
