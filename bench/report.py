"""The table: each measurement beside its floor and its goal, on the screen and in docs/performance.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

HEADINGS = ("measurement", "floor", "ours", "ratio", "goal", "met")
# Said beside a goal that was missed, where the same thing limits it every time.
LIBRARIES = ("SQLAlchemy", "psycopg", "urllib3", "redis", "rq", "requests")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `met` is None where there is no goal."""

    name: str
    ours: str
    floor: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None

    def cells(self) -> tuple[str, ...]:
        met = "" if self.met is None else "yes" if self.met else "**no**"
        return (self.name, self.floor, self.ours, self.ratio, self.goal, met)


@dataclass(frozen=True, slots=True)
class Section:
    """What one family of measurements came to; `notes` are whole sentences."""

    title: str
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    # Lost, doubled and out-of-order effects.
    effects: tuple[int, int, int] = (0, 0, 0)


def at_least(name: str, ours: float, floor: float, goal: float, unit: str = "") -> Row:
    """A rate that should reach `goal` times its floor."""
    ratio = ours / floor
    return Row(name, f"{ours:.0f}{unit}", f"{floor:.0f}{unit}", f"{ratio:.2f}", f"≥ {goal:g}", ratio >= goal)


def at_most(name: str, ours: float, goal: float, unit: str) -> Row:
    """An amount that should stay within `goal`."""
    return Row(name, f"{ours:.1f}{unit}", goal=f"≤ {goal:g}{unit}", met=ours <= goal)


def is_clean(sections: Sequence[Section]) -> bool:
    return not any(any(section.effects) for section in sections)


def render(sections: Sequence[Section], *, load_before: tuple[float, float, float], database: str) -> str:
    """The whole report as Markdown; its first line says so when effects went wrong."""
    lines = [] if is_clean(sections) else [_alarm(sections), ""]
    lines += ["# Performance", ""]
    lines += [
        "Made by `make bench` with one worker process and its sweeper. The mock external system, the",
        "databases, Redis and the process that grants run on the same machine and share its cores. The floor",
        "is the same two calls by `requests` sessions on 64 threads with nothing stored, measured in between.",
        "Ratios are of medians and travel between machines; absolute figures do not.",
        "",
        *_machine(load_before, database),
        "",
    ]
    for section in sections:
        lines += [f"## {section.title}", "", *table(section.rows), ""]
        for note in section.notes:
            lines += [note, ""]
    total = [sum(section.effects[index] for section in sections) for index in range(3)]
    lines.append(
        f"Effects over all measurements: {total[0]} lost, {total[1]} doubled, {total[2]} out of order."
    )
    missed = [row.name for section in sections for row in section.rows if row.met is False]
    lines += ["", "Goals missed: " + ("; ".join(missed) if missed else "none") + ".", ""]
    return "\n".join(lines)


def table(rows: Sequence[Row]) -> list[str]:
    """A Markdown table with its columns aligned."""
    cells = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    shown = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [shown[0], rule, *shown[1:]]


def _alarm(sections: Sequence[Section]) -> str:
    wrong = ", ".join(
        f"{section.title}: {section.effects[0]} lost, {section.effects[1]} doubled, "
        f"{section.effects[2]} out of order"
        for section in sections
        if any(section.effects)
    )
    return f"**Effects went wrong: {wrong}.**"


def _machine(load_before: tuple[float, float, float], database: str) -> list[str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    after = os.getloadavg()
    load = (
        f"* Load average (1 and 5 minutes) {load_before[0]:.2f} and {load_before[1]:.2f} at the start, "
        f"{after[0]:.2f} and {after[1]:.2f} at the end, the measurements' own load included"
    )
    return [
        f"* {datetime.now(UTC):%d %B %Y, %H:%M} UTC",
        f"* {_processor()}, {os.cpu_count()} cores, {memory:.0f} GB, Linux {platform.release()}",
        f"* Python {platform.python_version()}, {libraries}",
        f"* {database}",
        load,
    ]


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
