"""How long a run waits before it tries again, and that these examples find a wrong wait."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

import pytest

from app.domain.runs import polling
from app.domain.runs import retry as waiting
from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.runs.retry import retry_delay
from app.domain.states import FailureClass as F
from app.domain.steps.retry import Retry
from tests.support.domain.runs import BROKEN, NOW, RESEND, put, started


def test_a_fixed_backoff_waits_the_same_each_time():
    journey = started(put("create", retry=RESEND))
    assert [journey.answer(BROKEN).delay() for _ in range(2)] == [timedelta(seconds=10)] * 2


def test_an_exponential_backoff_doubles_up_to_an_hour():
    retry = Retry(attempts=10, backoff="exponential", delay_seconds=500)
    journey = started(put("create", retry=retry))
    waits = [journey.answer(BROKEN).delay().total_seconds() for _ in range(9)]
    assert waits == [500, 1000, 2000, 3600, 3600, 3600, 3600, 3600, 3600]


@pytest.mark.parametrize(
    ("asked", "waited"), [(5, 10), (10, 10), (11, 11), (3600, 3600), (3601, 10), (-1, 10), (None, 10)]
)
def test_retry_after_is_honoured_when_longer_and_at_most_an_hour(asked, waited):
    wait = Outcome.failed(F.WAIT, http_status=429, retry_after=asked)
    assert started(put("create", retry=RESEND)).answer(wait).delay() == timedelta(seconds=waited)


def test_a_system_that_is_not_ready_is_asked_the_less_often_the_longer_it_takes():
    wait = Outcome.failed(F.WAIT, http_status=202)
    journey = started(put("create", retry=Retry(backoff="exponential", delay_seconds=60)))
    waits = []
    for _ in range(6):
        delay = journey.answer(wait).delay()
        waits.append(delay.total_seconds())
        journey.now += delay
        journey.proceed()
    assert waits == [60, 60, 120, 240, 300, 300]


@pytest.mark.parametrize(("jitter", "waited"), [(0.0, 10), (0.5, 10.5), (1.0, 11)])
def test_jitter_adds_up_to_a_tenth(jitter, waited):
    journey = started(put("create", retry=RESEND))
    journey.jitter = jitter
    assert journey.answer(BROKEN).delay() == timedelta(seconds=waited)


def test_no_delay_at_all_is_possible():
    assert retry_delay(backoff="exponential", delay_seconds=0, tries=9, retry_after=None, jitter=1.0) == 0


def test_the_timeline_entry_says_when_the_next_try_is_due():
    journey = started(put("create", retry=RESEND)).answer(BROKEN)
    assert journey.only(m.AttemptEnded).next_attempt_at == NOW + timedelta(seconds=10)


def every_wait_is_right() -> None:
    test_an_exponential_backoff_doubles_up_to_an_hour()
    test_retry_after_is_honoured_when_longer_and_at_most_an_hour(5, 10)
    test_retry_after_is_honoured_when_longer_and_at_most_an_hour(3601, 10)
    test_jitter_adds_up_to_a_tenth(1.0, 11)
    test_a_system_that_is_not_ready_is_asked_the_less_often_the_longer_it_takes()


@pytest.mark.parametrize(
    ("passage", "bug"),
    [
        ("delay * 2.0 ** (tries - 1)", "delay * 2.0 ** tries"),
        ("min(MAX_DELAY_SECONDS, ", "max(0.0, "),
        ("delay < retry_after <= MAX_DELAY_SECONDS", "retry_after <= MAX_DELAY_SECONDS"),
        ("retry_after <= MAX_DELAY_SECONDS", "retry_after"),
        ("return delay * (1 + JITTER_SHARE * jitter)", "return delay"),
        ("max(delay, waited)", "delay"),
        ("min(LONGEST_POLL_SECONDS, ", "max(0.0, "),
    ],
)
def test_the_examples_find_a_wrong_wait(passage, bug, monkeypatch):
    """Waiting times are judged by examples alone, so the examples are shown to notice."""
    source = inspect.getsource(waiting)
    assert source.count(passage) == 1
    broken: dict[str, Any] = {"__name__": "retry with a bug"}
    exec(source.replace(passage, bug), broken)
    monkeypatch.setattr(polling, "retry_delay", broken["retry_delay"])
    monkeypatch.setattr(polling, "poll_delay", broken["poll_delay"])
    with pytest.raises(AssertionError):
        every_wait_is_right()
