"""Runs a second: a burst of grants, with the floor in between."""

from __future__ import annotations

from bench import floor
from bench.console import POSTGRESQL, SQLITE, Console, make_case
from bench.engine import Burst, Engine, burst, engine
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
Shape = tuple[str, float, int]


def measure(setting: Setting) -> Section:
    floors: dict[float, list[float]] = {0.0: [], SLOW: []}
    bursts: dict[Shape, list[Burst]] = {shape: [] for shape in GOALS if shape[0] in setting.kinds}
    for _ in range(setting.scale.repetitions):
        for latency in (0.0, SLOW):
            count = setting.scale.slow_runs if latency else setting.scale.runs
            floors[latency].append(floor.burst(setting.target, count, latency).rate)
            for shape in [one for one in bursts if one[1] == latency]:
                bursts[shape].append(one_burst(setting, shape, count))
            floors[latency].append(floor.burst(setting.target, count, latency).rate)
    rows = [
        at_least(
            _name(shape), median([one.rate for one in found]), median(floors[shape[1]]), GOALS[shape], " /s"
        )
        for shape, found in bursts.items()
    ]
    for shape, found in bursts.items():
        ours = median([one.worker_ms for one in found])
        rows.append(at_most(f"Processor a run, {_name(shape)}", ours, 4.0, " ms"))
    rows += [
        Row(
            f"Granting process, {_name(shape)}",
            f"{median([one.grant_ms for one in found]):.1f} ms a grant, "
            f"{median([one.granting_rate for one in found]):.0f} /s",
        )
        for shape, found in bursts.items()
        if not shape[1]
    ]
    everything = [one.effects for found in bursts.values() for one in found]
    return Section("Burst", rows, effects=effects_of(everything))


def one_burst(setting: Setting, shape: Shape, count: int) -> Burst:
    """A burst on a console of its own, after a short one that warms everything up."""
    kind, latency, in_flight = shape
    with setting.console(kind) as console, engine(console, in_flight) as at_work:
        warm_up(setting, console, at_work)
        case = make_case(console, setting.target.url, count)
        return burst(at_work, setting.target, case, latency)


def warm_up(setting: Setting, console: Console, at_work: Engine) -> None:
    """Load what is loaded at first use, and open the connections."""
    burst(at_work, setting.target, make_case(console, setting.target.url, 40), 0.0)


def _name(shape: Shape) -> str:
    kind, latency, in_flight = shape
    return f"L={latency * 1000:.0f} ms, {in_flight} in flight, {kind}"
