"""The only place that asks the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime

# Goes on while the machine sleeps, where there is such a clock.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def elapsed() -> float:
    """Seconds since some moment, by a clock that nobody sets: for how long something has lasted."""
    return time.clock_gettime(_ELAPSED)
