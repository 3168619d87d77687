"""When the journal writes: at once on an idle worker or when places are short, else in company."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import Connection

from app.extensions import db
from app.services.advance import Moved
from app.services.advance.moves import Holder
from app.services.advance.places import Places
from app.workers import journal as journals
from app.workers.journal import Beat, Claim, Journal

AGES = 60.0


class Owner:
    """An executor without runs, which counts what is in each commit."""

    def __init__(self, *, room: bool) -> None:
        self.room = room
        self.beats = 0
        self.commits: list[int] = []
        self.committed = threading.Condition()

    def holder(self, _over: object = ()) -> Holder:
        return Holder("worker-1", timedelta(seconds=15), places=Places(1))

    def held(self) -> dict[int, int]:
        return {}

    def has_room(self) -> bool:
        return self.room

    def wanted(self, _room: int) -> set[int] | None:
        self.beats += 1
        return set()

    def kept(self, run_ids: Iterable[int], began: float) -> None:
        """Nothing is held."""

    def let_go(self, run_id: int, fence: int | None) -> None:
        """Nothing is held."""

    def write_beat(self, _connection: Connection, _now: datetime) -> None:
        self.beats += 1

    def look_back(self) -> None:
        """The database is the one it was."""

    def after_commit(self, _results: Sequence[Moved], _now: datetime, *, began: float, more: bool) -> None:
        with self.committed:
            self.commits.append(self.beats)
            self.beats = 0
            self.committed.notify_all()

    def wait_for(self, commits: int) -> None:
        with self.committed:
            assert self.committed.wait_for(lambda: len(self.commits) >= commits, timeout=20), self.commits


@pytest.fixture
def journal_of(only_sqlite: Flask) -> Iterator[list[Journal]]:
    started: list[Journal] = []
    yield started
    for one in started:
        one.stop(5)


def begin(app: Flask, owner: Owner, started: list[Journal]) -> Journal:
    with app.app_context():
        journal = Journal(db.engine, owner)
    started.append(journal)
    journal.start()
    return journal


def test_an_idle_worker_writes_at_once(
    only_sqlite: Flask, journal_of: list[Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(room=True)
    journal = begin(only_sqlite, owner, journal_of)
    monkeypatch.setattr(journals, "GATHER_SECONDS", 0.0)
    journal.put(Claim())
    owner.wait_for(1)


def test_what_comes_soon_after_a_commit_is_written_together(
    only_sqlite: Flask, journal_of: list[Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(room=True)
    journal = begin(only_sqlite, owner, journal_of)
    journal.put(Claim())
    owner.wait_for(1)
    monkeypatch.setattr(journals, "GATHER_SECONDS", 1.0)
    journal.put(Claim())
    journal.put(Beat())
    owner.wait_for(2)
    assert owner.commits == [1, 2]


def test_a_worker_whose_places_are_short_does_not_wait_for_company(
    only_sqlite: Flask, journal_of: list[Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(room=False)
    journal = begin(only_sqlite, owner, journal_of)
    monkeypatch.setattr(journals, "GATHER_SECONDS", AGES)
    journal.put(Claim())
    owner.wait_for(1)
    journal.put(Claim())
    owner.wait_for(2)


def test_a_worker_that_stops_does_not_wait_for_company(
    only_sqlite: Flask, journal_of: list[Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(room=True)
    journal = begin(only_sqlite, owner, journal_of)
    journal.put(Claim())
    owner.wait_for(1)
    monkeypatch.setattr(journals, "GATHER_SECONDS", AGES)
    stopping = threading.Thread(target=journal.stop, args=(20,))
    stopping.start()
    stopping.join(timeout=10)
    assert not stopping.is_alive()
