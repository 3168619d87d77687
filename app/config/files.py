"""Small files made once and kept: keys, a token, a remembered path. Readable by their owner alone."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def read_or_make(path: Path, make: Callable[[], str]) -> str:
    """The text kept in `path`, made by `make` and stored there (mode 0600) when there is none yet.

    Two processes that start at the same moment read the same text: a lock beside the file decides who
    makes it, and the rename means that nobody ever reads half of it. Folders that are missing are made
    with mode 0700; an existing folder keeps its mode, since it may be shared on purpose.
    Raises OSError when the folder cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = _read(path)
    if kept:
        return kept
    lock = os.open(path.parent / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = _read(path)
        if not kept:
            kept = make()
            write(path, kept)
        return kept
    finally:
        os.close(lock)


def write(path: Path, text: str) -> None:
    """Put `text` into `path` in one move, mode 0600. Raises OSError when it cannot be written."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _read(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
