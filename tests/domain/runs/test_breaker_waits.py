"""Nobody waits for a connection without end, and an outage costs no run a try: a breaker among many runs."""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.runs import breaker as b
from app.domain.runs.breaker import Act, Breaker, BreakerRules, BreakerState, Seen
from tests.support.domain.runs import NOW

SWEEP = timedelta(seconds=5)
# The first run of all waits through the patience alone; each other has its turn as often as every one.
MOST_TRIALS = b.PATIENCE + b.MET_BEFORE + 1


@dataclass
class World:
    """Runs that wait for one connection; those of `bad` never succeed. Time goes by a sweep at a time."""

    rules: BreakerRules
    bad: set[int]
    dice: random.Random
    breaker: Breaker = field(default_factory=Breaker)
    now: object = NOW
    calls_answer: bool = True
    health_answers: bool = True
    waiting: deque[int] = field(default_factory=deque)
    met: Counter[int] = field(default_factory=Counter)
    trials: Counter[int] = field(default_factory=Counter)
    done: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)

    def trip(self, runs: int) -> None:
        """So many runs meet an outage; those that are told when it has tripped wait."""
        for run in range(runs):
            self.breaker = b.observe(self.breaker, Seen.DOWN, self.now, self.rules, run=-1 - run)
        for run in range(runs):
            self._waits(run)

    def _waits(self, run: int) -> None:
        self.met[run] += 1
        self.waiting.append(run)

    def sweep(self) -> None:
        self.now += SWEEP
        act = b.next_act(self.breaker, now=self.now, rules=self.rules, waiting=bool(self.waiting))
        match act:
            case Act.PROBE:
                what = Seen.DONE if self.health_answers else Seen.DOWN
                self.breaker = b.probed(b.probing(self.breaker, self.now), what, self.now)
            case Act.RELEASE:
                self._release()
            case Act.CLOSE:
                self.breaker = b.closed(self.breaker, self.now)

    def _release(self) -> None:
        count = b.to_release(self.breaker, self.now)
        trial = self.breaker.state not in (BreakerState.DRAINING, BreakerState.CLOSED, BreakerState.WATCHED)
        going = [self.waiting.popleft() for _ in range(min(count, len(self.waiting)))]
        self.breaker = b.released(self.breaker, self.now, first=going[0])
        self.trials.update(going if trial else ())
        self.dice.shuffle(going)
        for run in going:
            self._answered(run)

    def _answered(self, run: int) -> None:
        if self.calls_answer and run not in self.bad:
            self.breaker = b.observe(self.breaker, Seen.DONE, self.now, self.rules, run=run)
            self.done.append(run)
        elif b.blames(self.breaker, Seen.DOWN, run=run, met=self.met[run]):
            self.breaker = b.observe_blamed(self.breaker, self.now, self.rules, run=run)
            self.failed.append(run)
        else:
            self.breaker = b.observe(self.breaker, Seen.DOWN, self.now, self.rules, run=run)
            if self.breaker.state.is_parked:
                self._waits(run)
            else:
                self.failed.append(run)


def world(threshold: int, bad: set[int], seed: int) -> World:
    return World(BreakerRules(failures=threshold), bad, random.Random(seed))


seeds = st.integers(0, 2**32)


@given(st.integers(1, 12), st.integers(1, 30), st.data(), seeds)
def test_while_the_health_path_answers_every_run_has_its_outcome_after_a_bounded_number_of_trials(
    threshold: int, count: int, data: st.DataObject, seed: int
) -> None:
    bad = data.draw(st.sets(st.integers(0, count - 1)))
    outage = world(threshold, bad, seed)
    outage.trip(max(count, threshold))
    sweeps = 0
    while outage.waiting:
        outage.sweep()
        sweeps += 1
        assert sweeps < 20_000, (outage.breaker, outage.waiting)
        assert max(outage.trials.values(), default=0) <= MOST_TRIALS
    assert set(outage.failed) == outage.bad, "who fails does so for itself, and who would succeed does"
    outage.sweep()
    outage.sweep()


@given(st.integers(1, 12), st.integers(1, 30), st.lists(st.booleans(), max_size=8), seeds)
def test_an_outage_that_the_health_path_admits_costs_no_run_a_try_and_all_go_on_afterwards(
    threshold: int, count: int, spells: list[bool], seed: int
) -> None:
    """Now and then a person lets one through all the same."""
    outage = world(threshold, set(), seed)
    outage.calls_answer = outage.health_answers = False
    outage.trip(max(count, threshold))
    for lets_through in spells:
        if lets_through and outage.breaker.state.is_parked:
            outage.breaker = b.tried(outage.breaker, outage.now)
        for _ in range(100):
            outage.sweep()
        assert outage.failed == []
    outage.calls_answer = outage.health_answers = True
    for _ in range(200):
        outage.sweep()
    assert (sorted(outage.done), outage.failed) == (list(range(max(count, threshold))), [])
    assert outage.breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize("bad", [1, 2, 9, 40])
def test_a_run_that_would_succeed_gets_through_behind_those_that_never_do(bad: int) -> None:
    outage = world(10, set(range(bad)), seed=1)
    outage.trip(max(bad + 1, 10))
    for _ in range(12 * 60):
        outage.sweep()
    assert set(outage.done) == set(range(bad, max(bad + 1, 10))), "within the hour"
