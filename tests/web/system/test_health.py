"""System health: each part in each state, for those who mend it and those who only look."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from app.clock import now
from app.models import FailingDuty, Run
from app.queries.system import ENOUGH
from app.queue import QueueLook, QueueProblem, RunQueue
from tests.support.page import Page, PageClient, text_of
from tests.support.queries.stories import Story, refused
from tests.support.web.readers import Reader
from tests.support.web.system import Seen


def part(page: Page, name: str) -> str:
    return text_of(page.one(f"#part-{name}"))


def stat(page: Page, label: str) -> str:
    return next(words for words in page.texts(".stat") if words.startswith(label))


def redis_answers(monkeypatch, waiting: int = 0) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(RunQueue, "look", lambda _: QueueLook(waiting))


def test_without_any_worker_ever_it_gives_the_command_that_starts_one(alice: Reader) -> None:
    page = alice.client.get("/system")
    assert page.h1 == "System health"
    assert "None has ever connected" in part(page, "workers")
    assert "python -m app.workers" in page.texts("#part-workers code")
    assert "Has never run" in part(page, "sweeper")
    assert "python -m app.workers.sweeper" in page.texts("#part-sweeper code")


def test_redis_that_is_away_says_what_it_means_and_what_to_do(alice: Reader) -> None:
    page = alice.client.get("/system")
    words = part(page, "queue")
    assert "Does not answer" in words
    assert "Noticed" in words
    assert "Grants are not affected" in words
    assert page.texts("#part-queue code")
    assert "Needs attention: Queue (Redis), Workers, Sweeper." in page.text


def test_redis_that_answers_and_takes_nothing_says_why_and_what_to_do(
    alice: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = QueueProblem("is full and refuses writes", "Raise its maxmemory.")
    monkeypatch.setattr(RunQueue, "look", lambda _: QueueLook(None, full))
    words = part(alice.client.get("/system"), "queue")
    assert "Takes no run numbers" in words
    assert "Redis is full and refuses writes. Grants are not affected." in words
    assert "Raise its maxmemory." in words


def test_a_lost_worker_is_told_with_since_when(alice: Reader, seen: Seen) -> None:
    seen(120, swept=120)
    page = alice.client.get("/system")
    assert "None online" in part(page, "workers")
    assert "2 min ago" in part(page, "workers")
    assert "Silent" in part(page, "sweeper")
    [row] = page.table("workers-seen")
    assert row["Last sign"].startswith("No sign since")


def test_when_all_is_well_it_says_so_and_asks_for_nothing(alice: Reader, seen: Seen, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    redis_answers(monkeypatch, waiting=2)
    seen(2, swept=2)
    page = alice.client.get("/system")
    assert "Everything works." in page.text
    assert "3 of 32 runs in flight" in part(page, "workers")
    assert "2 run numbers" in part(page, "queue")
    assert page.select("article code") == []


def test_tables_of_another_version_are_told(alice: Reader, seen: Seen, web: Session) -> None:
    web.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    web.commit()
    page = alice.client.get("/system")
    assert "Tables of another version" in part(page, "database")
    assert "flask --app wsgi db upgrade" in page.texts("#part-database code")


def test_the_numbers(alice: Reader, waiting_run: Story, web: Session) -> None:
    Story(web).take()
    Story(web).answer(refused())
    page = alice.client.get("/system")
    assert stat(page, "Queued").startswith("Queued 1 ")
    assert stat(page, "Oldest queued").startswith("Oldest queued 3 min")
    # One was taken, one was refused: what is left of both is one under way and one that failed.
    assert stat(page, "Running").startswith("Running 1 ")
    assert stat(page, "Failed").startswith("Failed 1 ")


def test_a_failure_of_yesterday_is_not_counted(alice: Reader, web: Session) -> None:
    story = Story(web).answer(refused())
    story.run.finished_at = now() - timedelta(hours=25)
    web.commit()
    assert stat(alice.client.get("/system"), "Failed").startswith("Failed 0 ")


def test_nothing_is_counted_further_than_it_matters(alice: Reader, waiting_run: Story, web: Session) -> None:
    run = waiting_run.run
    columns = {c.name: getattr(run, c.name) for c in Run.__table__.columns if c.name != "id"}
    web.execute(
        Run.__table__.insert(),
        [columns | {"sequence": 1 + one, "uid": f"{one:032}"} for one in range(ENOUGH + 20)],
    )
    web.commit()
    assert stat(alice.client.get("/system"), "Queued").startswith(f"Queued {ENOUGH}+")


def test_the_poll_answers_nothing_while_nothing_changed(alice: Reader, seen: Seen, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    redis_answers(monkeypatch)
    seen(1, swept=1)
    address = str(alice.client.get("/system").one("#system")["hx-get"])
    assert alice.client.get(address, htmx=True, expect=204).html == ""


def test_the_poll_brings_what_changed_and_announces_a_change_of_the_whole(
    alice: Reader, seen: Seen, fresh_watch
) -> None:  # type: ignore[no-untyped-def]
    address = str(alice.client.get("/system").one("#system")["hx-get"])
    seen(1, swept=1)
    answer = alice.client.get(address, htmx=True)
    assert "1 online" in part(answer, "workers")
    assert "Needs attention: Queue (Redis)." in text_of(answer.one("#announce"))


def test_who_may_run_workflows_sees_the_facts_without_the_mends(engineer: PageClient) -> None:
    page = engineer.get("/system")
    assert "None has ever connected" in part(page, "workers")
    assert page.select("article code") == []
    assert "ask an administrator" in page.text
    assert "System health" in page.texts("nav a")


def test_others_are_refused(bob: Reader, charlie: Reader) -> None:
    for reader in (bob, charlie):
        for address in ("/system", "/system/parts"):
            refusal = reader.client.get(address, expect=403)
            assert "settings:manage" in refusal.text


def test_it_takes_a_bounded_number_of_statements(
    alice: Reader, seen: Seen, waiting_run: Story, statements: Callable[[Callable[[], object]], int]
) -> None:
    for number in range(20):
        seen(number, name=f"host-{number}")
    assert statements(lambda: alice.client.get("/system")) <= 14


def test_runs_that_stand_still_and_what_the_sweeper_cannot_do_are_told(
    alice: Reader, seen: Seen, web: Session
) -> None:
    seen(2, swept=2)
    Story(web).take()  # three minutes ago, for fifteen seconds, and nobody took it back
    web.add(FailingDuty(name="revoke grants that have expired", since=now(), problem="KeyError", passes=2))
    web.commit()
    page = alice.client.get("/system")
    assert "Needs attention: Runs" in page.text
    assert "Standing still" in part(page, "runs")
    assert "Asked just now: 1 run" in part(page, "runs")
    assert "It could not revoke grants that have expired (KeyError)." in part(page, "sweeper")
    web.execute(update(FailingDuty).values(passes=1))
    web.commit()
    assert "At work" in part(alice.client.get("/system"), "sweeper")
