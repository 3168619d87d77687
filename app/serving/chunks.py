"""A chunked body taken apart as it comes (RFC 9112 §7.1): what is handed on is plain, and was walked through once."""

from __future__ import annotations

import re

from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize

# Of a chunk's first line, and of all trailers, which nobody here reads.
MAX_LINE = 4096
MAX_TRAILERS = 64 * 1024
# Chunks as small as this on the average are no body but work: so many are taken before that is looked at.
SMALLEST_AVERAGE, PATIENCE = 16, 1000

_SIZE = re.compile(rb"([0-9a-fA-F]{1,12})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")


class Chunks:
    """`body` grows with each `take`; `size` is what the chunks so far announce, in bytes."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.size = 0
        self._left = 0
        self._count = 0
        self._awaits_end = False
        self._trailers: int | None = None

    def take(self, came: bytearray) -> bool:
        """Take what is understood off the front of `came`; whether the body has ended.

        Raises InvalidChunkSize and ChunkMissingTerminator, after which nobody knows where the next request begins.
        """
        while True:
            if self._left:
                part = came[: self._left]
                self.body += part
                del came[: len(part)]
                self._left -= len(part)
                if self._left:
                    return False
                self._count += 1
            if self._awaits_end:
                if len(came) < 2:
                    return False
                if came[:2] != b"\r\n":
                    raise ChunkMissingTerminator(bytes(came[:2]))
                del came[:2]
                self._awaits_end = False
            line = self._line(came)
            if line is None:
                return False
            if self._trailers is not None:
                if not line:
                    return True
                self._trailers += len(line)
                if self._trailers > MAX_TRAILERS:
                    raise InvalidChunkSize(b"the trailers are too long")
                continue
            self._begin(line)

    def _begin(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise InvalidChunkSize(line[:40])
        size = int(found[1], 16)
        if size == 0:
            self._trailers = 0
            return
        self._left, self._awaits_end = size, True
        self.size += size
        if self._count > PATIENCE and self.size < SMALLEST_AVERAGE * self._count:
            raise InvalidChunkSize(b"the chunks are too small")

    @staticmethod
    def _line(came: bytearray) -> bytes | None:
        end = came.find(b"\r\n", 0, MAX_LINE)
        if end < 0:
            if len(came) >= MAX_LINE:
                raise InvalidChunkSize(bytes(came[:40]))
            return None
        line = bytes(came[:end])
        del came[: end + 2]
        return line
