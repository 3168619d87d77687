"""Whether what waits delays what is new: a grant beside thousands of another application's runs, and beside none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from app import clock
from app.database import lift_limits
from app.models import Connection, ConnectionBreaker, ExternalAccount, Grant, Run, Workflow
from app.services.transaction import transaction
from bench.burst import warm_up
from bench.console import Case, Console, make_case
from bench.engine import Effects, engine
from bench.latency import one_by_one
from bench.report import Row, Section
from bench.setting import Setting, effects_of, percentile
from bench.target import SLOW_SECONDS

PLACES = 64
LANES = 10
GOAL_SECONDS = 1.0
NOTE = (
    f"One worker with {PLACES} places. The floor is the same on the idle system just before. The other runs are put "
    "into the database and rung for at once; the grants follow one by one."
)


class Crowd(NamedTuple):
    """Runs of another application: how many at most, of how many people, and what keeps them from going on."""

    name: str
    at_most: int | None = None
    people: int | None = None
    hold_up: Callable[[Session, int], object] = lambda _session, _application_id: None


def _park(session: Session, place: int) -> None:
    """As by hand, until tomorrow."""
    links, at = select(Connection.id).where(Connection.application_id == place), clock.now()
    parked = ConnectionBreaker(connection_id=session.scalars(links).one(), application_id=place, state="held")
    parked.since, parked.parked_at, parked.until = at, at, at + timedelta(days=1)
    session.add(parked)


def _occupy_lanes(session: Session, place: int) -> None:
    """The first run of each person is between two tries."""
    first = update(Run).where(Run.application_id == place, Run.sequence == 0)
    later = clock.now() + timedelta(hours=1)
    session.execute(first.values(status="running", holds_lane=True, cursor="wait", due_at=later))


CROWDS = (
    Crowd(f"{{}} runs of a system that takes {SLOW_SECONDS:g} s", at_most=2 * PLACES),
    Crowd(f"{{}} runs of a system that takes {SLOW_SECONDS:g} s"),
    Crowd("{} runs of a parked connection", hold_up=_park),
    Crowd(f"{{}} runs behind {LANES} lanes", people=LANES, hold_up=_occupy_lanes),
)


def measure(setting: Setting) -> Section:
    rows: list[Row] = []
    found: list[Effects] = []
    for kind in setting.kinds:
        for crowd in CROWDS:
            count = min(setting.scale.backlog, crowd.at_most or setting.scale.backlog)
            with setting.console(kind) as console, engine(console, PLACES) as at_work:
                warm_up(setting, console, at_work)
                idle, alone = one_by_one(setting, console)
                add_crowd(console, setting.target.url, crowd, count)
                delays, beside = one_by_one(setting, console)
            found += [alone, beside]
            rows.append(_row(f"{crowd.name.format(f'{count:,}')}, {kind}", idle, delays))
    return Section("Backlog and fairness", rows, [NOTE], effects_of(found))


def _row(name: str, idle: list[float], delays: list[float]) -> Row:
    base, ours = percentile(idle, 0.95), percentile(delays, 0.95)
    return Row(
        f"Grant to first request, p95, beside {name}",
        f"{ours * 1000:.1f} ms",
        f"{base * 1000:.1f} ms",
        f"{ours / base:.1f}",
        f"≤ floor + {GOAL_SECONDS:g} s",
        ours <= base + GOAL_SECONDS,
    )


def add_crowd(console: Console, target_url: str, crowd: Crowd, count: int) -> None:
    """`count` due runs of a new application, all rung for."""
    case = make_case(console, target_url, min(count, crowd.people or count), "slow")
    with console.app.app_context():
        with transaction() as session:
            lift_limits(session.connection())
            session.execute(insert(Run), _runs(session, case, count))
            ids = list(session.scalars(select(Run.id).where(Run.application_id == case.application_id)))
            crowd.hold_up(session, case.application_id)
        console.app.extensions["run_queue"].notify(ids)


def _runs(session: Session, case: Case, count: int) -> list[dict[str, Any]]:
    """Rows of runs, the people in turn, each of whom is given a grant for it here."""
    at, place = clock.now(), case.application_id
    workflow = session.scalars(select(Workflow).where(Workflow.application_id == place)).one()
    of_workflow = ("version_id", "version_number", "application_id", "trigger", "policy")
    common = {name: getattr(workflow, name) for name in of_workflow} | {"workflow_id": workflow.id}
    common |= dict.fromkeys(("occurred_at", "due_at", "created_at", "changed_at"), at)
    pairs = [{"user_id": one, "application_id": place} for one in case.user_ids]
    session.execute(insert(ExternalAccount), pairs)
    granted = [pair | {"granted_at": at, "granted_by": "Bench", "state": "provisioning"} for pair in pairs]
    session.execute(insert(Grant), granted)
    grants = session.execute(select(Grant.id, Grant.user_id).where(Grant.application_id == place)).all()
    whose = [common | {"cause": "Bench", "grant_id": one.id, "user_id": one.user_id} for one in grants]
    people = len(whose)
    return [whose[n % people] | {"uid": uuid4().hex, "sequence": n // people} for n in range(count)]
