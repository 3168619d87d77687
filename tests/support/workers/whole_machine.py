"""The whole machine, step by step in one thread: people, workers, sweepers, and everything that befalls them.

The code is the real one, down to the database.  What is played is what stands outside: the other systems, the queue
service, threads, processes and time.  After every act the promises are held against the rows and the outside.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from flask import Flask
from sqlalchemy import Connection as DbConnection
from sqlalchemy import func, select

from app import clock
from app.extensions import db
from app.models import ManualTask
from tests.support.workers import machine_rules
from tests.support.workers.faulty_database import NOBODY, FaultyDatabase
from tests.support.workers.hand_driven import WorkerByHand
from tests.support.workers.invariants import TOGETHER, breaches
from tests.support.workers.machine_people import People
from tests.support.workers.machine_processes import LEASE, SWEEP, Processes
from tests.support.workers.machine_time import MachineTime
from tests.support.workers.outside_world import Outside
from tests.support.workers.played_queue import PlayedQueue
from tests.support.workers.small_world import SmallWorld

# As many rounds of everybody's work as anything may take to come to rest.
ROUNDS = 150


class Machine(People, Processes):
    """`do(name, …)` lets one thing happen, by the name of its method, and looks at everything."""

    def __init__(self, app: Flask, time: MachineTime) -> None:
        super().__init__()
        self.app, self.time = app, time
        with app.app_context():
            self.engine = db.engine
        self.faults = FaultyDatabase(self.engine, time)
        self.outside = Outside(self._speaks_against)
        self.bells = PlayedQueue()
        self.told: list[int] = []
        self.confirmed: set[int] = set()
        app.extensions["run_queue"] = self.bells
        app.extensions["egress"] = self.outside
        self.world = SmallWorld.make(app)

    @contextlib.contextmanager
    def running(self) -> Iterator[Machine]:
        with self.faults.watched():
            for _ in range(2):
                self.start()
            yield self

    def do(self, name: str, *args: Any) -> None:
        getattr(self, name)(*args)
        self.time.go(0.01)
        self.look()

    def play(self, acts: Sequence[tuple[Any, ...]]) -> None:
        for name, *args in acts:
            self.do(name, *args)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[DbConnection]:
        """The test's own look at the rows."""
        with self.faults.spoken_to_by(NOBODY), self.engine.connect() as connection:
            yield connection

    # What must hold
    def look(self) -> None:
        """Every promise that holds at every moment."""
        assert not self.outside.wrongs, self.outside.wrongs
        if self.is_writing or self.is_restored:
            return
        for worker in self.workers:
            lost = worker.lost_places()
            assert not lost, f"{worker.name} holds runs {lost} and does nothing about them"
            forgotten = self._forgotten(worker)
            assert not forgotten, f"{worker.name} lives and has forgotten runs {forgotten}, which are its own"
        with self._reading() as connection:
            wrongs = [
                *machine_rules.adrift(connection),
                *machine_rules.unsaid(connection, self.outside.doubled(), self.confirmed),
                *machine_rules.stale_and_open(connection, spared=set(self.good_steps)),
            ]
        assert not wrongs, wrongs

    def asks_nobody(self) -> None:
        """Nobody is bothered with what came to a good end."""
        assert not self._count_tasks(), "somebody is asked about a call that was answered"

    def _forgotten(self, worker: WorkerByHand) -> set[int]:
        """Runs that are the worker's by the rows and that it will not renew, though nothing keeps it from that."""
        if worker.is_asleep or worker.is_in_doubt() or worker.name in self.letting_go:
            return set()
        with self._reading() as connection:
            mine = machine_rules.held_by(connection, worker.name)
        return {run_id for run_id, fence in mine.items() if worker.held().get(run_id) != fence}

    def _speaks_against(self, uid: str, step: str) -> str | None:
        if self.faults.transactions:
            return "a transaction was open while a call went out"
        if self.is_restored:
            return "a call went out on the word of a database that was restored"
        with self._reading() as connection:
            return machine_rules.speaks_against(connection, self.outside, self.world, uid, step)

    def settle(self) -> None:
        """Everything heals; all comes to rest, people do what they are asked, and the outside is as it should be."""
        self.faults.heal()
        self.repair()
        self.bells.is_down = False
        self.outside.is_healthy = True
        for worker in [one for one in self.workers if one.is_asleep]:
            worker.wake()
        if all(one.is_stopping() for one in self.workers):
            self.start()
        if self.is_restored:
            self._stay_held()
            return
        self.go_on()
        for number in range(len(self.world.connections)):
            self.unpark(number)
        self._come_to_rest()
        for number in range(self._count_tasks()):
            self.act(0, ("submit", "skip")[number % 2])
        self._come_to_rest()
        with self.app.app_context():
            wrongs = breaches(db.session(), self.outside.ledger(), self.told, confirmed=self.confirmed)
        if self.was_set_back:
            wrongs = [one for one in wrongs if TOGETHER not in one]  # by a clock that tells nothing any more
        with self._reading() as connection:
            wrongs += machine_rules.unlike_the_intent(connection, self.outside, self.world)
            wrongs += machine_rules.without_words(connection)
        assert not wrongs, wrongs

    def _stay_held(self) -> None:
        """Everybody works on, and until a person has looked nothing is sent: `_speaks_against` sees to that."""
        for _ in range(10):
            self.sweep()
            for number in range(len(self.workers)):
                self.ask(number)
                self.work(number)
            self.look()
            self.time.go(SWEEP)
        with self._reading() as connection:
            assert machine_rules.is_held_back(connection), "the restore went unnoticed"

    def _count_tasks(self) -> int:
        with self._reading() as connection:
            pending = select(func.count()).select_from(ManualTask).where(ManualTask.status == "pending")
            return connection.scalar(pending) or 0

    def _come_to_rest(self) -> None:
        self.sweepers.clear()
        for _ in range(ROUNDS):
            found = self.sweep()
            assert not (found.adrift or found.failed), f"the sweeper had to help: {found}"
            for number in range(len(self.workers)):
                self.work(number)
            self.look()
            with self._reading() as connection:
                due = machine_rules.next_due(connection)
                if due is None and not any(one.held() for one in self.workers):
                    return
            self.time.go(
                SWEEP if due is None else min(LEASE / 2, max(1.0, (due - clock.now()).total_seconds()))
            )
        with self._reading() as connection:
            raise AssertionError(f"adrift: {machine_rules.still_moving(connection)}")
