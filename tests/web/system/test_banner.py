"""The banner: on every page of those who may mend it, while runs stand still."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.clock import now
from app.queue import QueueLook, RunQueue
from app.web.system.queue_watch import Watch
from tests.support.page import PageClient
from tests.support.queries.statements import statements
from tests.support.queries.stories import Story
from tests.support.web.readers import Reader
from tests.support.web.system import Seen


def banner(client: PageClient, address: str = "/") -> str:
    return " ".join(client.get(address).texts("#system-notice"))


def test_without_a_worker_alice_is_told_and_bob_is_not(
    alice: Reader, bob: Reader, waiting_run: Story
) -> None:
    assert "no worker is online (none has been seen yet)" in banner(alice.client)
    assert "no worker is online" in banner(alice.client, "/applications")
    assert banner(bob.client) == ""


def test_it_leads_to_system_health_where_it_is_not_repeated(alice: Reader, waiting_run: Story) -> None:
    page = alice.client.get("/applications")
    assert [link["href"] for link in page.select("#system-notice a")] == ["/system"]
    assert banner(alice.client, "/system") == ""


def test_a_worker_that_went_silent_is_named_by_its_last_sign(
    alice: Reader, waiting_run: Story, seen: Seen
) -> None:
    seen(45)
    assert "last seen" in banner(alice.client)


def test_with_a_worker_but_no_redis_the_queue_is_named(alice: Reader, waiting_run: Story, seen: Seen) -> None:
    seen(1)
    assert "Redis" in banner(alice.client)


def test_nothing_is_said_while_runs_are_taken(
    alice: Reader, waiting_run: Story, seen: Seen, web: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunQueue, "look", lambda _: QueueLook(1))
    waiting_run.run.due_at = now()
    web.commit()
    seen(1)
    assert banner(alice.client) == ""


def test_a_run_that_no_worker_comes_to_is_told_unless_another_is_in_its_way(
    alice: Reader, waiting_run: Story, fresh_watch: Watch, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunQueue, "look", lambda _: QueueLook(1))
    seen(1)
    assert "the oldest has been due since" in banner(alice.client)
    waiting_run.take()
    waiting_run.run.lease_until = now() + timedelta(minutes=1)
    waiting_run.granted()
    waiting_run.newest().due_at = now() - timedelta(minutes=5)
    waiting_run.session.commit()
    fresh_watch.forget()
    assert banner(alice.client) == ""


def test_nothing_is_said_while_no_run_is_due(alice: Reader) -> None:
    assert banner(alice.client) == ""


def test_a_run_that_is_worked_on_is_not_waiting(alice: Reader, web: Session) -> None:
    story = Story(web).take()
    story.run.lease_until = story.at.replace(year=story.at.year + 1)
    web.commit()
    assert banner(alice.client) == ""


def test_a_run_whose_worker_died_unnoticed_counts(alice: Reader, web: Session) -> None:
    Story(web).take()  # two minutes ago, for fifteen seconds
    assert "no worker is online" in banner(alice.client)


def test_a_database_that_fails_it_costs_the_banner_only(
    alice: Reader, waiting_run: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("away"))

    monkeypatch.setattr("app.web.system.queue_watch.standstill", away)
    assert banner(alice.client) == ""


def test_it_is_looked_for_once_in_a_while_and_not_for_fragments(
    alice: Reader, waiting_run: Story, fresh_watch: Watch, web: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.system.queue_watch.FRESH_SECONDS", 3600.0)
    fresh_watch.forget()
    with statements(web.get_bind()) as looking:
        alice.client.get("/account")
    with statements(web.get_bind()) as kept:
        alice.client.get("/account")
    assert len(looking) == len(kept) + 2
    fresh_watch.forget()
    fragment = alice.client.get("/system/parts", htmx=True)
    assert fragment.select("#system-notice") == []
