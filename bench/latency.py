"""How soon: from a grant on an idle system to the first request at the target."""

from __future__ import annotations

import time

from bench import floor
from bench.console import Console, make_case
from bench.engine import Effects, effects, engine, grant_one, wait_for_runs
from bench.report import Row, Section
from bench.setting import Setting, effects_of, median, percentile
from bench.target import FIRST

PATIENCE = 120.0
GOALS = ((0.5, 5.0), (0.95, 8.0))


def measure(setting: Setting) -> Section:
    rounds = max(1, setting.scale.repetitions - 1)
    floors: list[tuple[float, ...]] = []
    ours: dict[str, list[list[float]]] = {kind: [] for kind in setting.kinds}
    found: list[Effects] = []
    for _ in range(rounds):
        floors.append(floor.single(setting.target, setting.scale.singles).delays)
        for kind in setting.kinds:
            with setting.console(kind) as console:
                delays, effect = singles(setting, console)
            ours[kind].append(delays)
            found.append(effect)
        floors.append(floor.single(setting.target, setting.scale.singles).delays)
    rows = []
    for kind in setting.kinds:
        for share, goal in GOALS:
            base = median([percentile(one, share) for one in floors]) * 1000
            mine = median([percentile(one, share) for one in ours[kind]]) * 1000
            name = f"Grant to first request, p{share * 100:.0f}, {kind}"
            ratio = mine / base
            rows.append(
                Row(name, f"{mine:.1f} ms", f"{base:.1f} ms", f"{ratio:.1f}", f"≤ {goal:g}", ratio <= goal)
            )
    return Section("Latency", rows, effects=effects_of(found))


def singles(setting: Setting, console: Console) -> tuple[list[float], Effects]:
    """Seconds from each single grant to its first request, the system being idle before each."""
    target = setting.target
    with engine(console, 64), console.app.app_context():
        warm = make_case(console, target.url, 3)
        for user_id in warm.user_ids:
            grant_one(warm, user_id)
        wait_for_runs(console, warm, 30)
        return one_by_one(setting, console)


def one_by_one(setting: Setting, console: Console) -> tuple[list[float], Effects]:
    """Seconds from each grant to its first request, the run before being done; the engine is at work already."""
    target = setting.target
    with console.app.app_context():
        case = make_case(console, target.url, setting.scale.singles)
        target.reset()
        asked = []
        for user_id in case.user_ids:
            time.sleep(0.05)
            asked.append(time.monotonic())
            grant_one(case, user_id)
            wait_for_runs(console, case, PATIENCE)
        told = target.report()
    # One after the other: the n-th first call belongs to the n-th grant.
    first = sorted(at for key, at in told["first_at"].items() if key.endswith(f"-{FIRST}"))
    return [at - began for at, began in zip(first, asked, strict=True)], effects(console, case, told)
