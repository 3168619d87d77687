"""What every measurement is given: the target, a Redis, the databases there are, and how thorough to be."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bench.console import POSTGRESQL, SQLITE, Console, console, postgresql_url
from bench.engine import Effects
from bench.processes import Target


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured. `runs` a burst, `repetitions` of each, `grown_rows` finished runs by database."""

    runs: int
    slow_runs: int
    repetitions: int
    singles: int
    idle_seconds: float
    grown_rows: dict[str, int]
    page_calls: int
    backlog: int


FULL = Scale(1000, 1280, 3, 20, 10.0, {SQLITE: 1_000_000, POSTGRESQL: 1_000_000}, 25, 10_000)
QUICK = Scale(200, 256, 1, 10, 5.0, {SQLITE: 5_000, POSTGRESQL: 5_000}, 3, 10_000)


@dataclass(frozen=True, slots=True)
class Setting:
    target: Target
    redis_url: str
    scale: Scale
    kinds: Sequence[str]

    def console(self, kind: str, *, pages: bool = False) -> AbstractContextManager[Console]:
        return console(kind, redis_url=self.redis_url, target_port=self.target.port, pages=pages)


def kinds_here() -> tuple[str, ...]:
    """The databases that can be measured on this machine."""
    return (POSTGRESQL, SQLITE) if postgresql_url() else (SQLITE,)


def effects_of(found: Sequence[Effects]) -> tuple[int, int, int]:
    total = Effects()
    for one in found:
        total.add(one)
    return total.lost, total.doubled, total.out_of_order


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie, by nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
