"""What a console claims before it starts: its data folder and its ports; and waiting with an end in sight."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from app.config import files

WAIT_SECONDS = 0.05


class StartError(Exception):
    """The console cannot start; as text: one line that says why and what to do."""


def hold_folder(data_dir: Path) -> int:
    """Take the lock that says `data_dir` is in use, as an open file; the system drops it with this process.

    Raises StartError when another process holds it.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / "supervisor.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = path.read_text(encoding="utf-8").strip() or "unknown"
        os.close(handle)
        raise StartError(
            f"DATA_DIR: {data_dir} is in use by another make run (process {holder}); "
            "stop that one, or set both DATA_DIR and PORT for a second console"
        ) from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle


def check_port(port: int) -> None:
    """Raise StartError when the console cannot listen on this loopback port."""
    try:
        take_port(port)
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        other = port + 1 if port < 65535 else port - 1
        raise StartError(
            f"PORT: {port} {why}; stop what listens there, or start with: make run PORT={other}"
        ) from None


def remembered_port(path: Path, favourite: int) -> int:
    """The port kept in the file `path`, so that what points at it keeps working; another when it is taken."""
    kept = files.read_or_make(path, lambda: str(favourite))
    try:
        port = take_port(int(kept) if kept.isdigit() else 0)
    except (OSError, OverflowError):
        port = free_port()
    if str(port) != kept:
        files.write(path, str(port))
    return port


def take_port(port: int) -> int:
    """See that nothing listens on this loopback port (0: any free one) and return it. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections of the last run that are still winding down do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])


def free_port() -> int:
    """A loopback port that nothing listens on at this moment."""
    return take_port(0)


def wait_until(
    condition: Callable[[], bool], *, seconds: float, otherwise: str, hopeless: Callable[[], bool]
) -> None:
    """Return once `condition` holds; StartError(otherwise) after `seconds`, or as soon as it is hopeless."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline or hopeless():
            raise StartError(otherwise)
        time.sleep(WAIT_SECONDS)
