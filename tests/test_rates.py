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


def test_a_system_that_asked_to_be_left_alone_is_left_alone_by_every_worker(url: str) -> None:
    told, other = Rates(url), Rates(url)
    told.leave_alone(6, 500)
    for rates in (told, other, Rates(url)):
        assert 400 < rates.left_alone(6) <= 500
        assert rates.left_alone(7) == 0.0
    store = redis.Redis.from_url(url)
    assert 400_000 < store.pttl("rate:alone:6") <= 500_000


def test_of_two_times_to_wait_the_one_that_ends_later_holds(url: str) -> None:
    told, other = Rates(url), Rates(url)
    for seconds in (500, 5, 0, 900):
        told.leave_alone(8, seconds)
    assert told.left_alone(8) > 800
    assert other.left_alone(8) > 800


def test_looking_whether_a_connection_is_left_alone_asks_redis_once_a_second_at_most(url: str) -> None:
    rates, store = Rates(url), redis.Redis.from_url(url)
    assert rates.left_alone(9) == 0.0
    before = store.info("commandstats").get("cmdstat_pttl", {"calls": 0})["calls"]
    rates._alone[9] = (0.0, time.monotonic() + 60)  # as if it had been looked at a moment ago
    assert {rates.left_alone(9) for _ in range(50)} == {0.0}
    assert store.info("commandstats")["cmdstat_pttl"]["calls"] == before


def test_without_redis_each_process_leaves_alone_what_it_was_told_itself(tmp_path: Path) -> None:
    told, other = (Rates(f"unix://{tmp_path}/nobody.sock") for _ in range(2))
    told.leave_alone(1, 500)
    assert told.left_alone(1) > 400
    assert (told.left_alone(2), other.left_alone(1)) == (0.0, 0.0)


def test_without_redis_each_process_keeps_the_pace_by_itself(tmp_path: Path) -> None:
    rates = Rates(f"unix://{tmp_path}/nobody.sock")
    moments = slots([rates], 1, 4, 9)
    assert moments[-1] - moments[0] >= 8 / 4 - 0.1
    assert rates.take(2, 4) == 0.0
    slots([rates], 3, 0.1, int(LONGEST_WAIT_SECONDS * 0.1) + 1)
    assert rates.take(3, 0.1) is None
