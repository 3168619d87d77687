"""What it takes: memory with many runs in flight, and processor time with nothing to do."""

from __future__ import annotations

import time
from datetime import timedelta

from sqlalchemy import func, select

from app import clock
from app.extensions import db
from app.models import Run
from bench.burst import SLOW, warm_up
from bench.console import Console, make_case
from bench.engine import Effects, Engine, burst, engine, grant_all
from bench.processes import DEVELOPMENT_ONLY, PeakMemory, pss_megabytes, wait_until
from bench.report import Row, Section, at_most
from bench.setting import Setting, effects_of

GOALS = {64: 90.0, 256: 110.0}
WAITING = 200


def measure(setting: Setting) -> Section:
    kind = setting.kinds[0]
    rows: list[Row] = []
    found: list[Effects] = []
    for in_flight, goal in GOALS.items():
        with setting.console(kind) as console, engine(console, in_flight) as at_work:
            warm_up(setting, console, at_work)
            case = make_case(console, setting.target.url, max(setting.scale.slow_runs, 2 * in_flight))
            with PeakMemory(at_work.worker.pid) as peak:
                found.append(burst(at_work, setting.target, case, SLOW).effects)
            rows.append(at_most(f"Worker's memory (PSS), {in_flight} in flight", peak.megabytes, goal, " MB"))
            if in_flight == 64:
                beside = pss_megabytes(at_work.sweeper.pid)
    rows.append(Row("Sweeper's memory (PSS)", f"{beside:.1f} MB"))
    rows += _idle(setting, kind)
    note = (
        f"Memory and idleness were measured on {kind}, worker and sweeper as production runs them: "
        f"{', '.join(DEVELOPMENT_ONLY)} are hidden from them, which only the tests' packages bring along."
    )
    return Section("Memory and idleness", rows, [note], effects_of(found))


def _idle(setting: Setting, kind: str) -> list[Row]:
    """Processor time of worker and sweeper together while nothing is due."""
    rows = []
    with setting.console(kind) as console, engine(console, 64) as at_work:
        time.sleep(1)
        rows.append(_row("Idle, nothing waiting", at_work, setting.scale.idle_seconds))
        for steps in ("a_person", "failing"):
            grant_all(console, make_case(console, setting.target.url, WAITING, steps))
        wait_until(lambda: _waiting(console) == [WAITING, WAITING], 60, "until everything waits")
        name = f"Idle, {WAITING} runs waiting for a person and {WAITING} for their next try"
        rows.append(_row(name, at_work, setting.scale.idle_seconds))
    return rows


def _waiting(console: Console) -> list[int]:
    """How many runs wait for a person, and how many for a later time."""
    later = (
        (Run.status == "running") & Run.worker.is_(None) & (Run.due_at > clock.now() + timedelta(minutes=5))
    )
    with console.app.app_context(), db.engine.connect() as connection:
        return [
            connection.execute(select(func.count(Run.id)).where(condition)).scalar_one()
            for condition in (Run.status == "waiting_manual", later)
        ]


def _row(name: str, at_work: Engine, seconds: float) -> Row:
    before, began = at_work.processor_seconds(), time.monotonic()
    time.sleep(seconds)
    share = (at_work.processor_seconds() - before) / (time.monotonic() - began) * 100
    return Row(name, f"{share:.2f} % of a core", goal="< 1 %", met=share < 1)
