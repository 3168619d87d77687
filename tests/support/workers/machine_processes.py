"""Workers, sweepers, and what befalls them, the queue, the database and time."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from app.extensions import db
from app.models import WorkflowVersion
from app.queries.workflow_versions import forget_definitions
from app.rates import Rates
from app.workers.prober import probe
from app.workers.restore_check import hold_if_restored
from app.workers.steadiness import Steadiness
from app.workers.sweeper import Memory, SweepResult, sweep_once
from tests.support.factories import damage_versions
from tests.support.workers.faulty_database import NOBODY, FaultyDatabase
from tests.support.workers.hand_driven import Pause, WorkerByHand
from tests.support.workers.machine_time import MachineTime
from tests.support.workers.outside_world import Outside
from tests.support.workers.played_queue import PlayedQueue
from tests.support.workers.small_world import SmallWorld

LEASE = 15.0
SWEEP = 5.0


class Processes:
    """The processes of the machine and the ground under them. A worker is named by its place among those awake."""

    app: Flask
    engine: Engine
    time: MachineTime
    faults: FaultyDatabase
    outside: Outside
    bells: PlayedQueue
    world: SmallWorld

    def __init__(self) -> None:
        self.workers: list[WorkerByHand] = []
        self.sweepers: dict[int, Memory] = {}
        self.is_restored = self.was_set_back = False
        self.is_writing = False
        # Workers that were made to let go of a run.
        self.letting_go: set[str] = set()
        # Steps of versions that were damaged, as they were, by version.
        self.good_steps: dict[int, Any] = {}
        self._later: list[tuple[Any, ...]] = []
        self._number = 0

    def start(self) -> None:
        self._number += 1
        with self.app.app_context():
            worker = WorkerByHand(
                self.engine,
                self.outside,
                self.app.extensions["keyring"],
                rates=Rates("unix:///nobody.sock"),
                name=f"worker-{self._number}",
                concurrency=4,
                lease_seconds=LEASE,
                look_back=lambda: hold_if_restored(self.app),
                pause=Pause(self._wait),
            )
        worker.begin()
        self.workers.append(worker)

    def _worker(self, which: int) -> WorkerByHand | None:
        awake = [one for one in self.workers if not one.is_asleep]
        return awake[which % len(awake)] if awake else None

    def hear(self, which: int) -> None:
        """The worker takes the oldest bells, as many as it has room for."""
        worker = self._worker(which)
        if worker is not None and not worker.is_stopping() and (room := worker.room()):
            worker.take(self.bells.take(room))

    def ask(self, which: int) -> None:
        """The worker looks for anything that is due."""
        if (worker := self._worker(which)) is not None:
            worker.take(None)

    def write(self, which: int, *later: tuple[Any, ...]) -> None:
        """The journal writes a batch; `later` is what others do while it waits for the database."""
        if (worker := self._worker(which)) is None:
            return
        self._later, self.is_writing = list(later), True
        try:
            with self.app.app_context(), self.faults.spoken_to_by(worker.name):
                worker.journal.write()
        finally:
            self.is_writing = False
        self._bury(worker)

    def _wait(self, seconds: float) -> None:
        self.time.go(max(0.01, seconds))
        if self._later:
            name, *args = self._later.pop(0)
            with self.faults.spoken_to_by("others"):
                getattr(self, name)(*args)

    def tick(self, which: int) -> None:
        if (worker := self._worker(which)) is not None:
            worker.tick()

    def call(self, which: int, number: int = 0, fate: str = "done") -> None:
        """A call of the worker goes out, and meets its fate; the answer is in the air."""
        worker = self._worker(which)
        if worker is not None and worker.pool.waiting:
            self.outside.fate = fate
            with self.faults.spoken_to_by(worker.name):
                worker.call(number)

    def answer(self, which: int, number: int = 0) -> None:
        """An answer in the air arrives."""
        worker = self._worker(which)
        if worker is not None and worker.journal.air:
            worker.journal.put(worker.journal.air.pop(number % len(worker.journal.air)))

    def pause(self, which: int) -> None:
        """SIGSTOP."""
        if (worker := self._worker(which)) is not None:
            worker.is_asleep = True

    def pause_in_commit(self, which: int) -> None:
        """SIGSTOP between the next commit and what the worker does after it."""
        if (worker := self._worker(which)) is not None:
            worker.stops_after_commit = True

    def wake(self, which: int) -> None:
        asleep = [one for one in self.workers if one.is_asleep]
        if asleep:
            asleep[which % len(asleep)].wake()

    def kill(self, which: int) -> None:
        """kill -9; another process takes its place."""
        if self.workers:
            self.workers.pop(which % len(self.workers))
            self.start()

    def term(self, which: int) -> None:
        """SIGTERM; another process is there at once."""
        if (worker := self._worker(which)) is not None and not worker.is_stopping():
            worker.begin_stop()
            self.start()

    def _bury(self, worker: WorkerByHand) -> None:
        if worker in self.workers and worker.is_over() and not worker.is_asleep:
            self.workers.remove(worker)

    def work(self, which: int, fate: str = "done") -> None:
        """The worker does what it would do by itself until nothing is left; its calls meet `fate`."""
        for _ in range(12):
            if (worker := self._worker(which)) is None:
                return
            self.tick(which)
            self.hear(which)
            while worker.pool.waiting and not worker.is_asleep:
                self.call(which, 0, fate)
            while worker.journal.air:
                self.answer(which)
            if not worker.journal.has_more():
                return
            self.write(which)
            if worker not in self.workers or worker.is_asleep:
                return

    def sweep(self, which: int = 0) -> SweepResult:
        """A pass of a sweeper; what it has seen until now is its own."""
        name = f"sweeper-{which}"
        memory = self.sweepers.setdefault(which, self._new_memory())
        with self.faults.spoken_to_by(name):
            try:
                result = sweep_once(self.app, holder=name, hold_seconds=3 * SWEEP, memory=memory)
            except DBAPIError:
                memory.steadiness.lost()
                return SweepResult()
            for one in result.to_probe:
                with contextlib.suppress(DBAPIError):
                    probe(self.app, one)
        return result

    def _new_memory(self) -> Memory:
        return Memory(Steadiness(lease=LEASE, pause=SWEEP, clock=self.time.monotonic))

    def sweeper_killed(self, which: int) -> None:
        """Another one, which has seen nothing yet, takes its place."""
        self.sweepers.pop(which, None)

    def passes(self, seconds: float) -> None:
        """Time goes by, and nobody does anything."""
        self.time.go(seconds)

    def lives(self, seconds: float) -> None:
        """Time goes by, in which a sweeper sweeps and every worker that is awake keeps its runs."""
        for _ in range(max(1, round(seconds / SWEEP))):
            self.time.go(min(seconds, SWEEP))
            self.sweep()
            for number in range(len(self.workers)):
                self.tick(number)
                self.write(number)

    def clock_jumps(self, seconds: float) -> None:
        self.time.jump(seconds)
        self.was_set_back |= seconds < 0

    def away(self, who: str, seconds: float) -> None:
        self.faults.go_away(who, seconds)

    def read_only(self, seconds: float) -> None:
        self.faults.be_read_only(seconds)

    def commit_fails(self, which: int, arrives: bool) -> None:
        if (worker := self._worker(which)) is not None:
            self.faults.fail_commit(worker.name, arrives=arrives)

    def refused(self, which: int, times: int) -> None:
        """What the worker is to write about its calls is refused, so many times; at last it must let go of a run."""
        if (worker := self._worker(which)) is not None:
            self.faults.refuse(worker.name, times)
            self.letting_go.add(worker.name)

    def back_up(self) -> None:
        """Keep a copy of the database's file."""
        self.engine.dispose()
        shutil.copyfile(self._file, f"{self._file}.copy")

    def restore(self) -> None:
        """Put the copy back, under the hands of everybody: from here on the rows know less than the outside."""
        self.engine.dispose()
        for leftover in self._file.parent.glob(f"{self._file.name}-*"):
            leftover.unlink()
        shutil.copyfile(f"{self._file}.copy", self._file)
        forget_definitions()
        self.is_restored = True

    @property
    def _file(self) -> Path:
        return Path(str(self.engine.url.database))

    def bells_lost(self) -> None:
        self.bells.ids.clear()

    def bells_again(self) -> None:
        self.bells.ids += self.bells.ids[-3:]

    def queue_down(self, down: bool) -> None:
        self.bells.is_down = down

    def unhealthy(self, ill: bool) -> None:
        """What the outside answers to probes."""
        self.outside.is_healthy = not ill

    def damage(self) -> None:
        """The workflow that opens access at the second place can no longer be read."""
        with self.app.app_context(), self.faults.spoken_to_by(NOBODY):
            if not self.good_steps:
                version = db.session.get_one(WorkflowVersion, self.world.versions[1])
                self.good_steps = {version.id: version.steps}
                damage_versions(db.session(), [{"type": "unheard of"}], version_id=version.id)

    def repair(self) -> None:
        with self.app.app_context(), self.faults.spoken_to_by(NOBODY):
            for number, steps in self.good_steps.items():
                damage_versions(db.session(), steps, version_id=number)
        self.good_steps = {}
