"""Figures for Prometheus, from the database and Redis: every web process answers the same.

Open to the host itself, and to tokens that hold `settings:manage`.  Nothing here counts history.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import structlog
from flask import Blueprint, Response, current_app, request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.api import problems
from app.api.blueprint import token_actor
from app.config.settings import Settings
from app.database import db_now
from app.domain.runs.breaker import BreakerState
from app.domain.states import FailureClass
from app.extensions import db
from app.guard import public
from app.permissions import require
from app.queries.alert_pages import LOOKED_AT, Arrivals, arrivals
from app.queries.connections import PARKED_SHOWN, WAITING_COUNTED, Parking, parkings
from app.queries.liveness import COUNTED, count_adrift
from app.queries.system import (
    NEWEST_ATTEMPTS,
    RecentAttempts,
    SystemFacts,
    failing_duties,
    open_runs,
    recent_attempts,
    system_facts,
)
from app.queue import RunQueue
from app.request_ids import go_by_callers

PREFIX = "access_automation_"
BUCKETS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# What a proxy adds: with any of these the address is not the caller's.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
_OF_NEWEST = f"among the newest {NEWEST_ATTEMPTS} attempts"

bp = Blueprint("metrics", __name__)
bp.register_error_handler(Exception, problems.answer)
bp.before_request(go_by_callers)

log = structlog.get_logger("metrics")


@bp.get("/metrics")
@public
def metrics() -> Response:
    """The figures as Prometheus reads them. A part that is away is a figure too, never an error."""
    if not _is_own_host():
        require(token_actor(), "settings:manage")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures())
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _is_own_host() -> bool:
    """Whether the caller is on this host, and is not a proxy that speaks for somebody else."""
    settings: Settings = current_app.extensions["settings"]
    if settings.public_url or any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


class _Figures(Collector):
    """All figures, collected in one pass."""

    def collect(self) -> Iterator[Metric]:
        run_queue: RunQueue = current_app.extensions["run_queue"]
        waiting = run_queue.look().waiting
        yield _gauge("redis_up", "1 when Redis answers and takes run numbers.", int(waiting is not None))
        if waiting is not None:
            yield _gauge(
                "queue_ids", "Run numbers that lie on the queue, not yet taken by a worker.", waiting
            )
        try:
            found = list(_of_database(db.session()))
        except SQLAlchemyError as error:
            log.warning("metrics.database", error=type(error).__name__)
            db.session.rollback()
            found = []
        yield _gauge("database_up", "1 when the database answers.", int(bool(found)))
        yield from found


def _of_database(session: Session) -> Iterator[Metric]:
    now = db_now(session.connection())
    yield from _of_processes(system_facts(session, now=now))
    yield _labelled(
        "runs",
        "Open runs by status, exactly. Runs that ended are not counted: that would read all history.",
        "status",
        open_runs(session).items(),
    )
    settings: Settings = current_app.extensions["settings"]
    yield _gauge(
        "runs_adrift",
        f"Open runs that nothing moves, up to {COUNTED}: anything but 0 is a fault.",
        count_adrift(session, now=now, settings=settings),
    )
    yield _gauge(
        "sweeper_failing_duties",
        "What the sweeper could not do at its last passes.",
        len(failing_duties(session)),
    )
    yield from _of_parked(parkings(session))
    yield from _of_attempts(recent_attempts(session, now=now))
    yield from _of_alerts(arrivals(session, now=now))


def _of_parked(found: Sequence[Parking]) -> Iterator[Metric]:
    counts = {one.value: 0 for one in BreakerState if not one.is_quiet}
    for parking in found:
        counts[parking.state] += 1
    yield _labelled(
        "connections_parked",
        f"Connections that hold runs up, by state; of the {PARKED_SHOWN} that were parked first.",
        "state",
        counts.items(),
    )
    yield _gauge(
        "runs_waiting_for_connections",
        f"Runs that wait for these connections, up to {WAITING_COUNTED} each.",
        sum(one.waiting for one in found),
    )


def _of_processes(facts: SystemFacts) -> Iterator[Metric]:
    alive = facts.alive
    yield _gauge("workers_alive", "Workers that gave a sign within the last 30 s.", len(alive))
    yield _gauge("runs_in_flight", "Runs held by these workers.", sum(one.in_flight for one in alive))
    yield _gauge(
        "worker_places", "Runs that these workers can hold together.", sum(one.concurrency for one in alive)
    )
    for name, text, at in (
        (
            "worker_sign_age_seconds",
            "Since the newest sign of any worker; absent when none is known.",
            facts.last_worker_at,
        ),
        (
            "sweeper_pass_age_seconds",
            "Since the sweeper's last pass; absent before the first.",
            facts.swept_at,
        ),
    ):
        age = _age(at, facts.at)
        if age is not None:
            yield _gauge(name, text, age)
    yield _gauge(
        "queue_oldest_seconds",
        "Age of the oldest queued run, of the 201 that are due first; 0 while none is queued.",
        _age(facts.oldest_queued_at, facts.at) or 0.0,
    )
    yield _gauge(
        "runs_failed_last_hour",
        "Runs that failed within the last hour, of the 201 newest failed runs: 201 means at least that many.",
        facts.failed,
    )


def _of_attempts(recent: RecentAttempts) -> Iterator[Metric]:
    classes = ["none", *(one.value for one in FailureClass)]
    yield _labelled(
        "attempts_last_hour",
        f"Attempts begun within the last hour, {_OF_NEWEST}, by class; none is one that has not failed.",
        "class",
        ((name, recent.by_class.get(name, 0)) for name in classes),
    )
    yield _gauge(
        "attempts_last_hour_is_whole",
        f"1 when the last hour's attempts are all counted; 0 when there were {NEWEST_ATTEMPTS} or more.",
        int(recent.is_whole),
    )
    seconds = [one / 1000 for one in recent.durations_ms]
    # A gauge with `le`, since it covers a window and goes down again: a histogram's buckets only ever rise.
    yield _labelled(
        "attempt_seconds_last_hour",
        f"Attempts of the last hour that took up to `le` seconds, {_OF_NEWEST}: for histogram_quantile, not rate.",
        "le",
        [
            *((str(limit), sum(one <= limit for one in seconds)) for limit in BUCKETS_SECONDS),
            ("+Inf", len(seconds)),
        ],
    )


def _of_alerts(found: Arrivals) -> Iterator[Metric]:
    newest = f"of the {LOOKED_AT} newest mails and webhook calls"
    yield _gauge("alerts_waiting", f"Alerts that failed and are tried again, {newest}.", found.waiting)
    yield _gauge("alerts_given_up_last_day", f"Alerts that could not be delivered, {newest}.", found.given_up)


def _age(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def _labelled(name: str, text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=[label])
    for key, value in values:
        family.add_metric([key], value)
    return family
