"""Reading the head of an HTTP/1.1 answer strictly, so that it is always known whether a status line came."""

from __future__ import annotations

import http.client
import re
from contextlib import suppress
from email.errors import FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect
from typing import Any, BinaryIO

from app.connectors.sockets import DeadlineSocket, DeadlineTLSSocket

MAX_HEAD = 64 * 1024
MAX_INTERIM = 20

_LENGTH = re.compile(r"[0-9]{1,18}")
_LOST_HEADERS = (MissingHeaderBodySeparatorDefect, FirstHeaderLineIsContinuationDefect)
_STATUS_LINE = re.compile(rb"(HTTP/1\.[0-9]) ([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\n")


class BrokenHead(Exception):
    """A status line was read and its headers broke off, ran on, or contradict each other about the body."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status} with unusable headers")
        self.status = status


class _HeadReader:
    """Lines of the head: each one ended properly, all together no more than MAX_HEAD bytes."""

    def __init__(self, lines: BinaryIO) -> None:
        self._lines = lines
        self._size = 0
        self.flush = lines.flush
        self.close = lines.close

    def readline(self, limit: int = -1) -> bytes:
        line = self._lines.readline(limit)
        self._size += len(line)
        if self._size > MAX_HEAD:
            raise http.client.HTTPException("the head is too long")
        # Nothing at all before the status line is a closed connection; anywhere later the head broke off.
        if self._size and not line.endswith(b"\n"):
            raise http.client.HTTPException("a line of the head broke off")
        return line


class Answer(http.client.HTTPResponse):
    """http.client's answer with a strict head and unambiguous framing (RFC 9112 §6)."""

    _final_status: int | None = None

    def __init__(self, sock: DeadlineSocket | DeadlineTLSSocket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self._sock = sock

    def begin(self) -> None:
        """Read the head; raises BrokenHead once a final status line was read, else what went wrong before."""
        lines: Any = self.fp
        self.fp = _HeadReader(lines)  # type: ignore[assignment]
        try:
            super().begin()
            self._check_framing()
        except Exception as problem:
            if self._final_status is None:
                raise
            raise BrokenHead(self._final_status) from problem
        finally:
            if self.fp is not None:
                self.fp = lines

    def _close_conn(self) -> None:
        """Let go of the reader, and note on the socket what it holds that is not of this answer."""
        self._sock.ended = True
        with suppress(AttributeError, OSError, ValueError):
            self._sock.surplus = bool(self.fp.peek())
        super()._close_conn()  # type: ignore[misc]

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INTERIM):
            version, status, reason = self._read_status_line()
            if status >= 200 or status == 101:
                self._final_status = status
                return version, status, reason
            # 100 Continue, 103 Early Hints and the like announce the answer and are not it.
            while (self._head_line()).strip():
                pass
        raise http.client.HTTPException("too many interim answers")

    def _read_status_line(self) -> tuple[str, int, str]:
        line = self._head_line()
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            raise http.client.BadStatusLine("not an HTTP status line")
        version, status, reason = match.groups()
        return version.decode("ascii"), int(status), (reason or b"").decode("latin-1")

    def _head_line(self) -> bytes:
        assert self.fp is not None
        line = self.fp.readline(MAX_HEAD + 1)
        if not line:
            raise http.client.RemoteDisconnected("closed without an answer")
        return line

    def _check_framing(self) -> None:
        lengths = {
            part.strip() for text in self.msg.get_all("content-length", []) for part in text.split(",")
        }
        codings = self.msg.get_all("transfer-encoding", [])
        if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
            raise http.client.HTTPException("contradicting lengths")
        if any(isinstance(defect, _LOST_HEADERS) for defect in self.msg.defects):
            raise http.client.HTTPException("a line that is no header hides those after it")
        if self.status == 101 or (codings and (lengths or not self.chunked)):
            # Where this answer ends is open to argument, so no other answer may follow on this connection.
            self.will_close = True
