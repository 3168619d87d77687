"""How the web process reads requests and sends answers: no thread of its pool ever waits for a client.

gunicorn's threaded worker reads a request and writes its answer in a thread of the pool, for as long as the client
likes: 16 clients that send half a request, or read nothing, stop it for everybody. Here the loop in the main thread
does all reading, writing and closing, and waits for nobody. A thread is taken once a request is there whole, and
what the client does not take of its answer is kept. How a request is parsed, its limits and what a malformed one is
told are gunicorn's own.
"""

from __future__ import annotations

import contextlib
import errno
import re
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn import util
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize, LimitRequestHeaders, NoMoreData
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from gunicorn.sock import ssl_wrap_socket
from gunicorn.workers.gthread import ThreadWorker

from app.serving.chunks import Chunks
from app.serving.outbox import AT_ONCE, LATER, Outbox, Room

HEAD_SECONDS = 10.0
# A body, and whoever reads an answer, may stand still so long, and must then have kept to a pace overall.
GRACE_SECONDS = 30.0
SLOWEST_BYTES_A_SECOND = 8192
# After the last answer, so that a client which is still sending can read it.
LINGER_SECONDS = 2.0
MAX_HEAD = 64 * 1024
# Above what any page takes (the largest is a workflow file in a form): more is refused by the page, unread.
MAX_BODY = 13 * 1024 * 1024
# Of requests, in memory; of answers, in temporary files beyond the first part of each.
MAX_HELD = 64 * 1024 * 1024
MAX_KEPT = 256 * 1024 * 1024

_HEAD_END = re.compile(rb"\n\r?\n")


class _Connection:
    """One client: what has come of its next request, and what is still to go out to it."""

    def __init__(self, raw: socket.socket, client: Any, server: Any, room: Room) -> None:
        # gunicorn knows the last three by these names.
        self.raw, self.sock, self.client, self.server = raw, Outbox(raw, room), client, server
        self.came = bytearray()
        self.looked = 0  # up to here `came` was understood
        self.chunks: Chunks | None = None
        self.request: Any = None
        self.requests = 0
        self.holds = 0  # bytes of the request that a thread has
        self.keeps = False
        self.drained = 0
        self.since = self.deadline = 0.0
        self.then: Callable[[_Connection], None] | None = None
        self.is_closed = False

    def size(self) -> int:
        """How many bytes of the next request are kept here."""
        return len(self.came) + (len(self.chunks.body) if self.chunks is not None else 0)

    def is_idle(self) -> bool:
        """Whether nothing of a next request has come."""
        return not self.came and self.request is None


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker, HTTP/1, with its reading and writing done by the loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Those that the loop waits for, in the order in which it began to.
        self._waiting: dict[_Connection, None] = {}
        self._held = 0
        self._room = Room(MAX_KEPT)
        self._next_look = 0.0

    def accept(self, listener: Any) -> None:
        """Take a connection; above the bound, the one that has kept the loop waiting longest makes room."""
        try:
            raw, client = listener.accept()
            raw.setblocking(False)
            if self.cfg.is_ssl:
                raw = ssl_wrap_socket(raw, self.cfg)
        except OSError as problem:
            if problem.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            elif isinstance(problem, ssl.SSLError | ConnectionError):
                self.log.debug("Connection ended at once. %s", problem)
            elif problem.errno not in (errno.EAGAIN, errno.ENOTCONN):
                raise
            return
        self.nr_conns += 1
        if self.nr_conns >= self.worker_connections:
            self._make_room()
        conn = _Connection(raw, client, listener.getsockname(), self._room)
        self._await(conn, selectors.EVENT_READ, self._read, HEAD_SECONDS)
        self._go_on(conn)

    def handle(self, conn: _Connection) -> bool:
        """Answer a request, in a thread; whether the connection may be used again."""
        request = conn.request
        try:
            if not self.handle_request(request, conn):
                return False
            # Where a body is malformed, nobody knows where the next request begins.
            while request.body.read(AT_ONCE):
                pass
            return not request.body.failed
        except StopIteration:
            self.log.debug("The answer broke off.")
        except OSError as problem:
            note = self.log.warning if problem.errno == errno.ENOSPC else self.log.debug
            note("An answer was not sent: %s", problem)
        except Exception as problem:  # noqa: BLE001  whatever it was, it is logged and answered as 500
            self.handle_error(request, conn.sock, conn.client, problem)
        return False

    def finish_request(self, conn: _Connection, answered: Future[bool]) -> None:
        """Send what is left of the answer, in the loop."""
        self._held -= conn.holds
        conn.holds, conn.request, conn.since, conn.sock.sent = 0, None, time.monotonic(), 0
        conn.keeps = not answered.cancelled() and answered.exception() is None and answered.result()
        conn.then = self._write
        self._go_on(conn)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close what is overdue, or everything that the loop waits for."""
        moment = time.monotonic()
        if moment < self._next_look and not force:
            return
        self._next_look = moment + 0.5
        for conn in [one for one in self._waiting if force or one.deadline <= moment]:
            if force or conn.then != self._read or conn.is_idle():
                self._close(conn)
            else:
                conn.then = self._say_too_late
                self._go_on(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        for conn in self._waiting:
            if conn.then == self._read and conn.is_idle():
                conn.deadline = min(conn.deadline, deadline)

    def _go_on(self, conn: _Connection, _raw: Any = None) -> None:
        """Do what the connection waits for. Whatever goes wrong ends that connection, and not the loop."""
        try:
            if conn.then is not None and not conn.is_closed:
                conn.then(conn)
        except OSError as problem:
            self.log.debug("Connection ended. %s", problem)
            self._close(conn)
        except Exception:
            self.log.exception("Connection ended.")
            self._close(conn)

    def _await(
        self, conn: _Connection, event: int, then: Callable[[_Connection], None], seconds: float
    ) -> None:
        """Call `then` at the event, close the connection after so many seconds without."""
        change = self.poller.modify if conn in self._waiting else self.poller.register
        change(conn.raw, event, partial(self._go_on, conn))
        self._waiting.pop(conn, None)
        self._waiting[conn] = None
        conn.then, conn.deadline = then, time.monotonic() + seconds
        if not self.alive:
            conn.deadline = min(conn.deadline, time.monotonic() + LINGER_SECONDS)

    def _leave(self, conn: _Connection) -> None:
        if conn in self._waiting:
            del self._waiting[conn]
            with contextlib.suppress(OSError, KeyError, ValueError):
                self.poller.unregister(conn.raw)

    def _close(self, conn: _Connection) -> None:
        # Among the events of one moment may be one of a connection that another has just closed.
        if conn.is_closed:
            return
        conn.is_closed = True
        self._leave(conn)
        self._held -= conn.size()
        conn.came.clear()
        conn.chunks = None
        conn.sock.drop()
        self.nr_conns -= 1
        util.close(conn.raw)

    def _make_room(self, *, above: int = -1) -> bool:
        """Close the first that keeps the loop waiting and holds more than so many bytes; whether there was one."""
        for conn in self._waiting:
            if conn.size() > above:
                self._close(conn)
                return True
        return False

    def _read(self, conn: _Connection) -> None:
        try:
            data = conn.raw.recv(AT_ONCE)
            if isinstance(conn.raw, ssl.SSLSocket) and (more := conn.raw.pending()):
                data += conn.raw.recv(more)
        except LATER:
            return
        if not data:
            self._close(conn)
            return
        if conn.is_idle():
            conn.deadline = time.monotonic() + HEAD_SECONDS
        conn.came += data
        self._held += len(data)
        while self._held > MAX_HELD and self._make_room(above=MAX_HEAD):
            pass
        if conn in self._waiting:
            self._look(conn)

    def _look(self, conn: _Connection) -> None:
        """Hand the request to a thread if all of it is there."""
        if conn.request is None and not self._has_head(conn):
            return
        try:
            whole = self._body(conn)
        except (InvalidChunkSize, ChunkMissingTerminator) as problem:
            self.handle_error(None, conn.sock, conn.client, problem)
            self._end(conn)
            return
        if whole is None:
            conn.deadline = conn.since + GRACE_SECONDS + conn.size() / SLOWEST_BYTES_A_SECOND
            return
        conn.request.unreader.unread(whole)
        conn.holds = len(whole)
        self._held += len(whole)
        self._leave(conn)
        self.enqueue_req(conn)

    def _has_head(self, conn: _Connection) -> bool:
        end = _HEAD_END.search(conn.came, conn.looked)
        if end is None and len(conn.came) <= MAX_HEAD:
            conn.looked = max(0, len(conn.came) - 2)
            return False
        try:
            if end is None or end.end() > MAX_HEAD:
                raise LimitRequestHeaders("the head is too long")
            unreader = IterUnreader(())
            unreader.unread(self._take(conn, end.end()))
            conn.requests += 1
            conn.request = Request(self.cfg, unreader, conn.client, conn.requests)
        except (NoMoreData, StopIteration):
            self._close(conn)
            return False
        except Exception as problem:  # noqa: BLE001  gunicorn's words for whatever is wrong with it
            self.handle_error(None, conn.sock, conn.client, problem)
            self._end(conn)
            return False
        conn.since = time.monotonic()
        return True

    def _body(self, conn: _Connection) -> bytes | None:
        """The whole body as it came, or None while it is not there. One that is too long is not read."""
        request, reader = conn.request, conn.request.body.reader
        if isinstance(reader, LengthReader):
            announced, is_whole = reader.length, reader.length <= len(conn.came)
        else:
            conn.chunks = conn.chunks or Chunks()
            before = conn.size()
            is_whole = conn.chunks.take(conn.came)
            self._held += conn.size() - before
            announced = conn.chunks.size
        if announced > MAX_BODY:
            request.force_close()
            if conn.chunks is not None:
                # Its length is known to be more than is taken: the page refuses it as any that says so.
                kept = [one for one in request.headers if one[0] != "TRANSFER-ENCODING"]
                request.headers = [*kept, ("CONTENT-LENGTH", str(MAX_BODY + 1))]
                request.body = Body(LengthReader(request.unreader, MAX_BODY + 1))
                self._held -= len(conn.chunks.body)
                conn.chunks = None
            request._expected_100_continue = False
            return b""
        if is_whole:
            request._expected_100_continue = False
            if conn.chunks is None:
                return self._take(conn, announced)
            whole = bytes(conn.chunks.body)
            self._held -= len(whole)
            conn.chunks = None
            request.body = Body(LengthReader(request.unreader, len(whole)))
            return whole
        if request._expected_100_continue:
            request._expected_100_continue = False
            conn.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return None

    def _take(self, conn: _Connection, end: int) -> bytes:
        with memoryview(conn.came) as came:
            taken = bytes(came[:end])
        del conn.came[:end]
        self._held -= end
        conn.looked = 0
        return taken

    def _write(self, conn: _Connection) -> None:
        """Send on; after the last byte, wait for the next request or for the end."""
        if not conn.sock.flush():
            self._await(conn, selectors.EVENT_WRITE, self._write, 0.0)
            conn.deadline = conn.since + GRACE_SECONDS + conn.sock.sent / SLOWEST_BYTES_A_SECOND
        elif not conn.keeps:
            conn.raw.shutdown(socket.SHUT_WR)
            self._await(conn, selectors.EVENT_READ, self._drain, LINGER_SECONDS)
        elif conn.came:
            self._await(conn, selectors.EVENT_READ, self._read, HEAD_SECONDS)
            self._look(conn)
        else:
            self._await(conn, selectors.EVENT_READ, self._read, float(self.cfg.keepalive))

    def _end(self, conn: _Connection) -> None:
        """Send what was written, then end the connection."""
        conn.keeps, conn.since, conn.sock.sent = False, time.monotonic(), 0
        self._write(conn)

    def _say_too_late(self, conn: _Connection) -> None:
        util.write_error(conn.sock, 408, "Request Timeout", "The request did not arrive in time.")
        self._end(conn)

    def _drain(self, conn: _Connection) -> None:
        """Read on for nothing: a connection closed over unread bytes may take the answer with it."""
        try:
            data = conn.raw.recv(AT_ONCE)
        except LATER:
            return
        conn.drained += len(data)
        if not data or conn.drained > MAX_BODY:
            self._close(conn)
