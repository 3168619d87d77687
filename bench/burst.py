"""Runs a second: a burst of grants, with the floor in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench import floor
from bench.console import POSTGRESQL, SQLITE, Console, make_case
from bench.engine import GRANTERS, Burst, Engine, burst, drain, engine
from bench.report import Row, Section, at_least, at_most
from bench.setting import Setting, effects_of, median

SLOW = 0.2
GOALS = {
    (POSTGRESQL, 0.0, 64): 0.5,
    (SQLITE, 0.0, 64): 0.4,
    (POSTGRESQL, SLOW, 64): 0.95,
    (SQLITE, SLOW, 64): 0.95,
    (POSTGRESQL, SLOW, 256): 2.2,
    (SQLITE, SLOW, 256): 2.2,
}
PROCESSOR_MS = 4.0
Shape = tuple[str, float, int]
GRANTED_BY = (
    f"Grants are made one transaction each by {GRANTERS} threads of one process, and their time counts. “Runs "
    "queued before” leaves it out: the worker is stopped while they are made, and the time counts from when it "
    "goes on. Processor a run is that of worker and sweeper together."
)


@dataclass(slots=True)
class Measured:
    """One shape's bursts, and those whose runs were all queued before the worker was let go."""

    bursts: list[Burst] = field(default_factory=list)
    drains: list[Burst] = field(default_factory=list)


def measure(setting: Setting) -> Section:
    floors: dict[float, list[float]] = {0.0: [], SLOW: []}
    shapes = {shape: Measured() for shape in GOALS if shape[0] in setting.kinds}
    for _ in range(setting.scale.repetitions):
        for latency in (0.0, SLOW):
            count = setting.scale.slow_runs if latency else setting.scale.runs
            floors[latency].append(floor.burst(setting.target, count, latency).rate)
            for shape in [one for one in shapes if one[1] == latency]:
                one_shape(setting, shape, count, shapes[shape])
            floors[latency].append(floor.burst(setting.target, count, latency).rate)
    rows: list[Row] = []
    for shape, found in shapes.items():
        rows.append(
            at_least(_name(shape), _rate(found.bursts), median(floors[shape[1]]), GOALS[shape], " /s")
        )
    for shape, found in shapes.items():
        if found.drains:
            rows.append(_drained(shape, found.drains, median(floors[shape[1]])))
    for shape, found in shapes.items():
        worker = median([one.worker_ms for one in found.bursts])
        rows.append(at_most(f"Processor a run, {_name(shape)}", worker, PROCESSOR_MS, " ms"))
    rows += [_granting(shape, found.bursts) for shape, found in shapes.items() if not shape[1]]
    everything = [one.effects for found in shapes.values() for one in (*found.bursts, *found.drains)]
    return Section("Burst", rows, [GRANTED_BY], effects_of(everything))


def one_shape(setting: Setting, shape: Shape, count: int, found: Measured) -> None:
    """A burst on a console of its own, after a short one that warms everything up; without latency a drain too."""
    kind, latency, in_flight = shape
    with setting.console(kind) as console, engine(console, in_flight) as at_work:
        warm_up(setting, console, at_work)
        case = make_case(console, setting.target.url, count)
        found.bursts.append(burst(at_work, setting.target, case, latency))
        if not latency:
            case = make_case(console, setting.target.url, count)
            found.drains.append(drain(at_work, setting.target, case))


def _rate(bursts: Sequence[Burst]) -> float:
    return median([one.rate for one in bursts])


def _drained(shape: Shape, drains: Sequence[Burst], base: float) -> Row:
    rate = _rate(drains)
    name = f"Runs queued before, {_name(shape)}"
    return Row(name, f"{rate:.0f} /s", f"{base:.0f} /s", f"{rate / base:.2f}")


def _granting(shape: Shape, bursts: Sequence[Burst]) -> Row:
    spent = median([one.grant_ms for one in bursts])
    rate = median([one.granting_rate for one in bursts])
    return Row(f"Granting process, {_name(shape)}", f"{spent:.1f} ms of processor a grant, {rate:.0f} /s")


def warm_up(setting: Setting, console: Console, at_work: Engine) -> None:
    """Load what is loaded at first use, and open the connections."""
    burst(at_work, setting.target, make_case(console, setting.target.url, 40), 0.0)


def _name(shape: Shape) -> str:
    kind, latency, in_flight = shape
    return f"L={latency * 1000:.0f} ms, {in_flight} in flight, {kind}"
