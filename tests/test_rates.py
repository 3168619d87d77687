"""The pace of a connection: one for all workers through Redis, and each for itself while Redis is away."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from app.rates import LONGEST_WAIT_SECONDS, Rates
from tests.support.own_redis import own_redis


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A Redis of the module's own."""
    with own_redis() as server:
        yield server.url


def slots(takers: list[Rates], connection_id: int, per_second: float, count: int) -> list[float]:
    """The moments that `count` calls were given, the takers in turn."""
    moments = []
    for number in range(count):
        wait = takers[number % len(takers)].take(connection_id, per_second)
        assert wait is not None
        moments.append(time.monotonic() + wait)
    return moments


def test_workers_share_one_pace(url: str) -> None:
    first, second = Rates(url), Rates(url)
    moments = slots([first, second], 1, 2, 20)
    # What the answer took to get here blurs each moment; the pace of twenty calls it does not change.
    assert moments[-1] - moments[0] >= 19 / 2 - 0.5
    assert all(later > earlier for earlier, later in itertools.pairwise(moments))
    assert first.take(2, 2) == 0.0


def test_a_free_connection_waits_for_nothing(url: str) -> None:
    assert Rates(url).take(3, 0.1) == 0.0


def test_what_would_wait_too_long_is_turned_away_and_takes_no_slot(url: str) -> None:
    rates = Rates(url)
    inside = int(LONGEST_WAIT_SECONDS * 0.1) + 1
    slots([rates], 4, 0.1, inside)
    before = redis.Redis.from_url(url).get("rate:4")
    assert rates.take(4, 0.1) is None
    assert redis.Redis.from_url(url).get("rate:4") == before


def test_redis_holds_a_number_that_goes_away_by_itself(url: str) -> None:
    Rates(url).take(5, 100)
    store = redis.Redis.from_url(url)
    assert (store.get("rate:5") or b"").isdigit()
    assert 0 < store.pttl("rate:5") <= (LONGEST_WAIT_SECONDS + 11) * 1000


def test_without_redis_each_process_keeps_the_pace_by_itself(tmp_path: Path) -> None:
    rates = Rates(f"unix://{tmp_path}/nobody.sock")
    moments = slots([rates], 1, 4, 9)
    assert moments[-1] - moments[0] >= 8 / 4 - 0.1
    assert rates.take(2, 4) == 0.0
    slots([rates], 3, 0.1, int(LONGEST_WAIT_SECONDS * 0.1) + 1)
    assert rates.take(3, 0.1) is None
