"""Whether a long history slows anything down: the burst beside itself on an empty console."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from bench.burst import warm_up
from bench.console import Console, make_case
from bench.engine import Burst, burst, engine
from bench.history import make_history
from bench.report import Row, Section
from bench.setting import Setting, effects_of, median

GOAL = 0.95


def measure(setting: Setting) -> Section:
    rows: list[Row] = []
    notes: list[str] = []
    found: list[Burst] = []
    for kind in setting.kinds:
        count = setting.scale.grown_rows[kind]
        with grown_console(setting, kind) as (grown, seconds), setting.console(kind) as empty:
            rates: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(setting.scale.repetitions):
                for is_grown in (False, True):
                    with engine(grown if is_grown else empty, 64) as at_work:
                        console = at_work.console
                        warm_up(setting, console, at_work)
                        case = make_case(console, setting.target.url, setting.scale.runs)
                        one = burst(at_work, setting.target, case, 0.0)
                    rates[is_grown].append(one.rate)
                    found.append(one)
        ratio = median(rates[True]) / median(rates[False])
        name = f"Burst with {count:,} finished runs, {kind} (floor: the same without)"
        rows.append(
            Row(
                name,
                f"{median(rates[True]):.0f} /s",
                f"{median(rates[False]):.0f} /s",
                f"{ratio:.2f}",
                f"≥ {GOAL}",
                ratio >= GOAL,
            )
        )
        notes.append(f"The history on {kind} was inserted in {seconds:.0f} s.")
    return Section("Growth", rows, notes, effects_of([one.effects for one in found]))


@contextlib.contextmanager
def grown_console(setting: Setting, kind: str, *, pages: bool = False) -> Iterator[tuple[Console, float]]:
    """A console with a long history, and how many seconds inserting it took."""
    with setting.console(kind, pages=pages) as console:
        began = time.monotonic()
        make_history(console, setting.target.url, setting.scale.grown_rows[kind])
        yield console, time.monotonic() - began
