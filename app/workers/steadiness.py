"""Whether the sweeper could see all along: only then is a lease that has run out the sign of a dead worker.

When the database was away, or a clock was set, workers that live could not keep their leases either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

# Two clocks that move at the same pace are never this far apart, in seconds: one of them was set.
JUMP = 2.0


def since_boot() -> float:
    """Seconds by a clock that nobody sets, and that goes on while the machine sleeps where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Steadiness:
    """For how long everything has been seen without a break; `lease` and `pause` between passes are in seconds."""

    def __init__(self, *, lease: float, pause: float, clock: Callable[[], float] = since_boot) -> None:
        self._lease = lease
        # A worker renews every third of its lease: only a longer gap can have cost it one.
        self._longest_gap = max(2 * lease / 3, pause + 2)
        self._clock = clock
        self._since = self._newest = 0.0
        # When the database was last asked the time, and what it said; None begins anew.
        self._asked: tuple[float, datetime] | None = None

    def seen(self, at: datetime) -> None:
        """The database says that it is `at`: the steadiness goes on, or begins anew after a gap or a jump."""
        now = self._clock()
        if self._asked is None or self._is_gap(now):
            self._since = now
        else:
            asked, said = self._asked
            if abs((at - said).total_seconds() - (now - asked)) > JUMP:
                self._since = now
        self._newest, self._asked = now, (now, at)

    def went_on(self) -> None:
        """The database has answered within a pass."""
        now = self._clock()
        if self._is_gap(now):
            self._asked = None
        self._newest = now

    def lost(self) -> None:
        """A pass came to nothing: nobody knows what could not be seen meanwhile."""
        self._asked = None

    @property
    def is_steady(self) -> bool:
        """Whether everything has been seen for at least a lease, so that who lives has renewed."""
        return self._asked is not None and self._newest - self._since >= self._lease

    @property
    def left(self) -> float:
        """Seconds until the next look that may find it steady, at least."""
        return self._lease if self._asked is None else max(0.0, self._since + self._lease - self._clock())

    def _is_gap(self, now: float) -> bool:
        return now - self._newest > self._longest_gap
