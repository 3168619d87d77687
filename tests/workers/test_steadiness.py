"""When a lease that has run out means that its worker is dead: only after everything was seen for a lease."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.workers.steadiness import Steadiness

pytestmark = pytest.mark.sqlite_only

BEGIN = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Sight:
    """A sweeper's eyes, a clock that nobody sets, and the database's."""

    def __init__(self, lease: float = 15, pause: float = 5) -> None:
        self.passed = 1000.0
        self.set_by = 0.0
        self.pause = pause
        self.steadiness = Steadiness(lease=lease, pause=pause, clock=lambda: self.passed)

    def look(self, after: float | None = None) -> bool:
        """A pass so many seconds later, as long as the pause when it is not said; whether it may judge leases."""
        self.passed += self.pause if after is None else after
        self.steadiness.seen(BEGIN + timedelta(seconds=self.passed + self.set_by))
        return self.steadiness.is_steady

    def steady(self) -> None:
        assert [self.look() for _ in range(4)][-1]


def test_a_sweeper_that_has_just_begun_waits_for_a_lease() -> None:
    sight = Sight()
    assert [sight.look() for _ in range(5)] == [False, False, False, True, True]


def test_it_says_how_long_that_still_takes() -> None:
    sight = Sight()
    assert sight.steadiness.left == 15
    sight.look()
    sight.passed += 4
    assert sight.steadiness.left == 11
    sight.passed += 40
    assert sight.steadiness.left == 0
    # Time that nobody has looked into proves nothing.
    assert not sight.steadiness.is_steady


def test_after_a_pass_that_came_to_nothing_it_begins_anew() -> None:
    sight = Sight()
    sight.steady()
    sight.steadiness.lost()
    assert [sight.look() for _ in range(4)] == [False, False, False, True]


def test_after_a_gap_that_may_have_cost_a_worker_its_lease_it_begins_anew() -> None:
    sight = Sight()
    sight.steady()
    assert sight.look(9.9)
    assert [sight.look(10.1), *(sight.look() for _ in range(3))] == [False, False, False, True]


def test_a_gap_within_a_pass_counts_as_one_between_passes() -> None:
    sight = Sight()
    sight.steady()
    sight.passed += 11
    sight.steadiness.went_on()
    assert not sight.look(1)


def test_a_pass_that_takes_long_and_is_answered_all_along_is_no_gap() -> None:
    sight = Sight()
    sight.steady()
    for _ in range(9):
        sight.passed += 4
        sight.steadiness.went_on()
    assert sight.look(4)


@pytest.mark.parametrize("seconds", [60, -60, 2.5, -2.5])
def test_after_the_clock_was_set_it_begins_anew(seconds: float) -> None:
    sight = Sight()
    sight.steady()
    sight.set_by += seconds
    assert [sight.look() for _ in range(4)] == [False, False, False, True]


def test_clocks_that_differ_a_little_do_not_matter() -> None:
    sight = Sight()
    for _ in range(20):
        sight.set_by += 0.5
        sight.look()
    assert sight.steadiness.is_steady


def test_a_sweeper_that_is_meant_to_sweep_seldom_becomes_steady_all_the_same() -> None:
    sight = Sight(lease=5, pause=60)
    assert [sight.look(), sight.look(61)] == [False, True]


def test_a_lost_worker_is_found_within_half_a_minute_after_everything_was_restarted() -> None:
    sight = Sight()
    begun, waited = sight.passed, 0.0
    while not sight.look(waited):
        waited = min(5.0, sight.steadiness.left)
    assert sight.passed - begun < 30
