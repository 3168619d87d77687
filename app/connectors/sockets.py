"""Sockets that obey one deadline for everything, and know whether anything was sent."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Buffer


# Sixteen times what is kept of a body: room for chunk framing and headers, but not for trailers, comments or
# empty gzip members without end, which cost processor time and yield nothing.
MAX_RECEIVED = 1024 * 1024


class TooMuch(OSError):
    """The other side sent more than any answer needs."""


class _Deadline:
    """Bounds every wait of a socket by one moment, whatever the other side drips meanwhile.

    A socket's own timeout starts anew with every byte, so it is set to what is left before each wait.
    """

    deadline: float = 0.0
    sent: int = 0
    received: int = 0
    # Set when the answer has come to its end, and whether anything was read along beyond that.
    ended: bool = False
    surplus: bool = False

    def begin_call(self, deadline: float) -> None:
        """Start counting for one request; `deadline` is a moment of time.monotonic()."""
        self.deadline = deadline
        self.sent = 0
        self.received = 0
        self.ended = self.surplus = False

    def arm(self) -> None:
        """Let the next wait end at the deadline; raises TimeoutError when that has passed."""
        if self.ended:
            raise BlockingIOError(errno.EAGAIN, "the answer is over")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline")
        self.settimeout(left)

    def count_received(self, count: int) -> int:
        """Add to what this call received; raises TooMuch beyond MAX_RECEIVED."""
        self.received += count
        if self.received > MAX_RECEIVED:
            raise TooMuch("the answer does not end")
        return count

    def waiting(self) -> bytes | None:
        """What lies there although nothing was asked, without waiting: a byte of it, none at its end, or None."""
        try:
            self.settimeout(0)
            # Reading takes in what is TLS's own, such as the tickets of a session: that it is readable tells nothing.
            return self.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError:
            return b""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        raise NotImplementedError

    def settimeout(self, value: float | None, /) -> None:
        raise NotImplementedError


class DeadlineSocket(socket.socket, _Deadline):
    """A plain TCP socket under a deadline; `sent` counts the bytes the system took since `begin_call`."""

    def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        self.arm()
        return self.count_received(super().recv_into(buffer, nbytes, flags))

    def sendall(self, data: Buffer, flags: int = 0) -> None:
        view = memoryview(data)
        while view:
            self.arm()
            count = super().send(view, flags)
            self.sent += count
            view = view[count:]


class DeadlineTLSSocket(ssl.SSLSocket, _Deadline):
    """The same over TLS.  Once a write was tried, `sent` is at least one: a record may have left."""

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        self.arm()
        return self.count_received(super().recv_into(buffer, nbytes, flags))

    def sendall(self, data: Buffer, flags: int = 0) -> None:
        view = memoryview(data)
        while view:
            self.arm()
            self.sent += 1
            view = view[super().send(view, flags) :]
