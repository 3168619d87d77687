"""What it takes: memory with many runs in flight, and processor time with nothing to do."""

from __future__ import annotations

import time

from bench.burst import SLOW, warm_up
from bench.console import make_case
from bench.engine import Effects, Engine, burst, engine, grant_all
from bench.processes import PeakMemory, pss_megabytes, wait_until
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
    notes = [f"Memory and idleness were measured on {kind}."]
    return Section("Memory and idleness", rows, notes, effects_of(found))


def _idle(setting: Setting, kind: str) -> list[Row]:
    """Processor time of worker and sweeper together while nothing is due."""
    rows = []
    with setting.console(kind) as console, engine(console, 64) as at_work:
        time.sleep(1)
        rows.append(_row("Idle, nothing waiting", at_work, setting.scale.idle_seconds))
        for steps in ("a_person", "failing"):
            grant_all(console, make_case(console, setting.target.url, WAITING, steps))
        wait_until(lambda: setting.target.report()["requests"] >= WAITING, 60, "the first tries")
        time.sleep(3)
        name = f"Idle, {WAITING} runs waiting for a person and {WAITING} for their next try"
        rows.append(_row(name, at_work, setting.scale.idle_seconds))
    return rows


def _row(name: str, at_work: Engine, seconds: float) -> Row:
    before, began = at_work.processor_seconds(), time.monotonic()
    time.sleep(seconds)
    share = (at_work.processor_seconds() - before) / (time.monotonic() - began) * 100
    return Row(name, f"{share:.2f} % of a core", goal="< 1 %", met=share < 1)
