"""Ends every process group it was told of once its input closes. Run as a script; standard library only.

The supervisor holds the other end of the pipe: when it goes, by `kill -9` too, the input ends here.
Each line is `+GROUP` for one that was started or `-GROUP` for one that has ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

SECONDS_TO_END = 3.0


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    end(groups)


def end(groups: set[int]) -> None:
    """Ask every group to end, and kill those that are still there SECONDS_TO_END later."""
    for group in groups:
        send(group, signal.SIGTERM)
    deadline = time.monotonic() + SECONDS_TO_END
    while time.monotonic() < deadline and any(is_there(group) for group in groups):
        time.sleep(0.05)
    for group in groups:
        send(group, signal.SIGKILL)


def is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


def send(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, number)


if __name__ == "__main__":
    main()
