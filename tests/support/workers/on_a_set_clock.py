"""`python -m tests.support.workers.on_a_set_clock`: MODULE, with a clock that CLOCK_FILE sets meanwhile."""

from __future__ import annotations

import os
import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app import clock

CLOCK_FILE = "CLOCK_FILE"


def set_clock() -> datetime:
    """The time, as many seconds ahead as the file says."""
    return datetime.now(UTC) + timedelta(seconds=float(Path(os.environ[CLOCK_FILE]).read_text() or 0))


if __name__ == "__main__":
    clock.now = set_clock
    runpy.run_module(os.environ["MODULE"], run_name="__main__")
