"""`python launch.py PARENT COMMAND…`: run a command that dies with its parent. Standard library only.

Linux kills a process on its parent's death when it asked for that beforehand; the request survives the
exec below. It is made here, in a process with one thread, because code between fork and exec in the
supervisor, which has several, could hang on a lock. Elsewhere the watchdog alone does this work.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)  # it died before the request was made
    try:
        os.execvp(command[0], command)  # noqa: S606  becoming the command, without a shell, is the point
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
