"""The whole machine in random interleavings: nothing stands still, nothing is sent that must not be."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy.exc import IntegrityError

from app.errors import AppError
from app.extensions import db
from tests.support.workers import seen_elsewhere
from tests.support.workers.machine_processes import LEASE
from tests.support.workers.machine_time import MachineTime
from tests.support.workers.outside_world import FATES
from tests.support.workers.processes import ROOT
from tests.support.workers.seeded_bugs import BUGS, Acts, SeededBug
from tests.support.workers.whole_machine import Machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

two = st.integers(0, 1)
some = st.integers(0, 3)
fates = st.sampled_from(["done"] * 8 + list(FATES))
people = st.one_of(
    st.tuples(st.just("grant"), two, two, st.sampled_from([0, 0, 0, 20.0])),
    st.tuples(st.just("grant"), two, two),
    st.tuples(st.just("revoke"), two, two),
    st.tuples(st.just("retry"), some, st.booleans()),
    st.tuples(st.just("retry"), some, st.just(True)),
    st.tuples(st.just("cancel"), some),
    st.tuples(st.just("act"), some, st.sampled_from(["submit", "submit", "skip", "fail", "again"])),
    st.tuples(st.just("set_active"), two, st.booleans()),
    st.tuples(st.just("park"), some),
    st.tuples(st.just("unpark"), some),
    st.sampled_from([("hold",), ("go_on",)]),
)
workers = st.one_of(
    st.tuples(st.just("work"), two, fates),
    st.tuples(st.just("hear"), two),
    st.tuples(st.just("ask"), two),
    st.tuples(st.just("write"), two),
    st.tuples(st.just("call"), two, some, fates),
    st.tuples(st.just("answer"), two, some),
    st.tuples(st.just("tick"), two),
)
faults = st.one_of(
    st.tuples(st.sampled_from(["pause", "pause_in_commit", "wake", "wake", "kill", "term"]), two),
    st.tuples(st.just("commit_fails"), two, st.booleans()),
    st.tuples(st.just("refused"), two, st.sampled_from([1, 2, 3, 5])),
    st.tuples(
        st.just("away"),
        st.sampled_from(["worker-1", "worker-2", "sweeper-0", "web", "everybody"]),
        st.sampled_from([3.0, 2 * LEASE]),
    ),
    st.tuples(st.just("read_only"), st.sampled_from([3.0, 2 * LEASE])),
    st.sampled_from([("bells_lost",), ("bells_again",), ("queue_down", True), ("queue_down", False)]),
    st.sampled_from([("unhealthy", True), ("unhealthy", False), ("damage",), ("repair",)]),
    st.tuples(st.just("clock_jumps"), st.sampled_from([60.0, -60.0])),
)
world = st.one_of(
    st.tuples(st.sampled_from(["sweep", "sweep", "sweep", "sweeper_killed"]), two),
    st.tuples(st.just("passes"), st.sampled_from([1.0, 6.0, LEASE + 1, 3 * LEASE])),
    st.tuples(st.just("lives"), st.sampled_from([1.0, 6.0, LEASE + 1, 3 * LEASE])),
)


def machine_on(app: Flask, database: Any, stack: ExitStack) -> Machine:
    database.reset(app)
    time = MachineTime()
    stack.callback(app.extensions.__setitem__, "run_queue", app.extensions["run_queue"])
    stack.callback(app.extensions.__setitem__, "egress", app.extensions["egress"])
    time.install(stack.enter_context(pytest.MonkeyPatch.context()))
    with app.app_context():
        time.prepare(db.engine)
    return stack.enter_context(Machine(app, time).running())


class WholeMachine(RuleBasedStateMachine):
    app: Flask
    database: Any

    @initialize(person=two, place=two)
    def begin(self, person: int, place: int) -> None:
        self.stack = ExitStack()
        self.machine = machine_on(self.app, self.database, self.stack)
        self.machine.do("grant", 0, 0)
        self.machine.do("grant", person, place)

    @rule(act=people)
    def somebody_acts(self, act: tuple[Any, ...]) -> None:
        self.machine.do(*act)

    @rule(act=workers)
    def a_worker_goes_on(self, act: tuple[Any, ...]) -> None:
        self.machine.do(*act)

    @rule(which=two, fate=fates)
    def a_worker_does_all_it_can(self, which: int, fate: str) -> None:
        self.machine.do("work", which, fate)

    @rule(act=faults)
    def something_goes_wrong(self, act: tuple[Any, ...]) -> None:
        self.machine.do(*act)

    @rule(act=world)
    def the_world_goes_on(self, act: tuple[Any, ...]) -> None:
        self.machine.do(*act)

    @rule(which=two, acts=st.lists(st.one_of(people, world), max_size=3))
    def a_journal_waits_for_the_database(self, which: int, acts: list[tuple[Any, ...]]) -> None:
        self.machine.do("write", which, *acts)

    def teardown(self) -> None:
        if hasattr(self, "machine"):
            try:
                self.machine.settle()
            finally:
                self.stack.close()


# The same ones each time; MACHINE_EXAMPLES names how many others to look at, for a hunt.
EXAMPLES = {"sqlite": 10, "postgres": 2}


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_whatever_meets_whatever_it_goes_on_and_sends_nothing_that_it_must_not(
    kind: str, request: pytest.FixtureRequest
) -> None:
    WholeMachine.app, WholeMachine.database = request.getfixturevalue(f"{kind}_app")
    many = int(os.environ.get("MACHINE_EXAMPLES", "0")) or EXAMPLES[kind]
    run_state_machine_as_test(
        WholeMachine,
        settings=settings(
            max_examples=many,
            stateful_step_count=60,
            deadline=None,
            derandomize="MACHINE_EXAMPLES" not in os.environ,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )


def _broken(app: Flask, database: Any, acts: Acts) -> str:
    """What the machine says after these acts; "" when every promise was kept."""
    with ExitStack() as stack:
        machine = machine_on(app, database, stack)
        try:
            machine.play(acts)
            machine.settle()
        except (AssertionError, IntegrityError, AppError) as problem:
            return str(problem) or "it failed"
    return ""


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_each_fault_that_was_mended_would_be_seen(sqlite_app: Any, bug: SeededBug) -> None:
    app, database = sqlite_app
    assert _broken(app, database, bug.acts) == ""
    with pytest.MonkeyPatch.context() as patch:
        bug.plant(patch)
        assert _broken(app, database, bug.acts)


def test_what_the_machine_cannot_see_is_seen_by_other_tests() -> None:
    """One run of them all, each with its bug planted."""
    environ = {
        name: value for name, value in os.environ.items() if name not in ("TEST_DATABASE_URL", "REQUIRE_ALL")
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rf",
        "-p",
        "no:cacheprovider",
        "-p",
        seen_elsewhere.__name__,
    ]
    tests = [one.test for one in seen_elsewhere.BUGS]
    ran = subprocess.run(
        [*command, *tests], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    failed = {
        line.split()[1].partition("[")[0] for line in ran.stdout.splitlines() if line.startswith("FAILED ")
    }
    assert failed == set(tests), ran.stdout
