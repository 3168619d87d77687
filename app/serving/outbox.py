"""What is to go out to a client that may be slow to take it."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from tempfile import SpooledTemporaryFile
from typing import IO

# Of one answer; beyond, it is kept in a temporary file.
KEPT_IN_MEMORY = 256 * 1024
AT_ONCE = 64 * 1024
LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Room:
    """How much may be kept in all, over all threads."""

    def __init__(self, size: int) -> None:
        self._left, self._lock = size, threading.Lock()

    def take(self, size: int) -> bool:
        """Whether there was room for so much more; a negative size gives room back."""
        with self._lock:
            self._left -= size
            if self._left >= 0 or size <= 0:
                return True
            self._left += size
            return False


class Outbox:
    """What gunicorn writes an answer to: as much goes out as the client takes at once, the rest is kept.

    Used by one thread at a time: the request's own, afterwards the loop's.
    """

    def __init__(self, raw: socket.socket, room: Room) -> None:
        self._raw, self._room = raw, room
        self._kept: SpooledTemporaryFile[bytes] | None = None
        self._size = self._read = 0
        self._next = memoryview(b"")
        self.sent = 0

    def sendall(self, data: bytes) -> None:
        """Send or keep all of it; raises OSError when the client is gone, or nothing more can be kept."""
        rest = memoryview(data)
        if self.flush():
            rest = rest[self._send(rest) :]
        if not rest:
            return
        if not self._room.take(len(rest)):
            raise OSError(errno.ENOSPC, "too much waits for clients that do not read")
        if self._kept is None:
            self._kept = SpooledTemporaryFile(KEPT_IN_MEMORY)  # noqa: SIM115  closed when all of it is sent
        self._kept.seek(self._size)
        self._kept.write(rest)
        self._size += len(rest)

    def flush(self) -> bool:
        """Send some of what is kept; whether nothing is left. Raises OSError when the client is gone."""
        for _ in range(8):
            if self._kept is None:
                return True
            if not self._next:
                self._kept.seek(self._read)
                self._next = memoryview(self._kept.read(AT_ONCE))
                self._read += len(self._next)
            self._next = self._next[self._send(self._next) :]
            if self._next:
                return False
            if self._read == self._size:
                self.drop()
        return False

    def drop(self) -> None:
        """Forget what is kept."""
        if self._kept is not None:
            self._kept.close()
            self._room.take(-self._size)
        self._kept, self._size, self._read, self._next = None, 0, 0, memoryview(b"")

    def sendfile(self, file: IO[bytes], offset: int, count: int) -> None:
        """So much of a file from there on, as of a socket."""
        file.seek(offset)
        while count > 0 and (part := file.read(min(count, AT_ONCE))):
            self.sendall(part)
            count -= len(part)

    def gettimeout(self) -> float:
        """As of a socket that waits for nobody."""
        return 0.0

    def shutdown(self, _how: int) -> None:
        """Refused: the loop ends connections."""
        raise OSError(errno.EOPNOTSUPP, "not here")

    def close(self) -> None:
        """Nothing, likewise."""

    def _send(self, data: memoryview) -> int:
        try:
            sent = self._raw.send(data)
        except LATER:
            return 0
        self.sent += sent
        return sent
