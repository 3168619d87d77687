"""The only place that asks the time, and that knows which zone the console lives in."""

from __future__ import annotations

import time
from datetime import UTC, datetime

# Goes on while the machine sleeps, where there is such a clock.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


_console = {"zone": "UTC"}


def set_zone(name: str) -> None:
    """Let `name` be the console's zone in this process: the setting TIME_ZONE."""
    _console["zone"] = name


def zone() -> str:
    """The console's zone, for dates where nothing else says one."""
    return _console["zone"]


def elapsed() -> float:
    """Seconds since some moment, by a clock that nobody sets: for how long something has lasted."""
    return time.clock_gettime(_ELAPSED)
