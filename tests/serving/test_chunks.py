"""Chunked bodies, however they are cut and whatever is wrong with them."""

from __future__ import annotations

import pytest
from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize
from hypothesis import given
from hypothesis import strategies as st

from app.serving.chunks import Chunks

NEXT = b"GET / HTTP/1.1\r\n"


def encoded(parts: list[bytes], trailers: bytes = b"") -> bytes:
    chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(one), one) for one in parts)
    return chunks + b"0\r\n" + trailers + b"\r\n"


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    st.sampled_from([b"", b"X-Sum: 1\r\n", b"no colon\r\n"]),
    st.integers(1, 7),
)
def test_a_body_is_the_same_however_it_comes(parts: list[bytes], trailers: bytes, piece: int) -> None:
    chunks, came, rest = Chunks(), bytearray(), encoded(parts, trailers) + NEXT
    ended = False
    while not ended:
        came += rest[:piece]
        rest = rest[piece:]
        ended = chunks.take(came)
    assert bytes(chunks.body) == b"".join(parts)
    assert bytes(came) + rest == NEXT, "what follows is left alone"
    assert chunks.size == len(chunks.body)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (b"5\r\nhelloXX0\r\n\r\n", ChunkMissingTerminator),
        (b"5\r\nhello0\r\n\r\n", ChunkMissingTerminator),
        (b"\r\n", InvalidChunkSize),
        (b"-1\r\n", InvalidChunkSize),
        (b"0x5\r\nhello\r\n", InvalidChunkSize),
        (b" 5\r\nhello\r\n", InvalidChunkSize),
        (b"5;\x00\r\nhello\r\n", InvalidChunkSize),
        (b"fffffffffffff\r\n", InvalidChunkSize),
        (b"1" * 5000, InvalidChunkSize),
        (b"5\nhello\n0\n\n" + b"x" * 5000, InvalidChunkSize),
        (b"1\r\nx\r\n" * 2000, InvalidChunkSize),
        (b"0\r\n" + b"a: b\r\n" * 20_000, InvalidChunkSize),
    ],
)
def test_what_is_malformed_or_mere_work_is_refused(wrong: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        Chunks().take(bytearray(wrong))


def test_a_body_in_large_chunks_is_taken_whole() -> None:
    parts = [bytes([number % 256]) * 4096 for number in range(2000)]
    chunks = Chunks()
    assert chunks.take(bytearray(encoded(parts)))
    assert len(chunks.body) == 2000 * 4096
