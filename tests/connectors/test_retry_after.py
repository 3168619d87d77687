"""How long an answer asks to wait, in all the ways in which systems say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict

from app.connectors.retry_after import seconds_to_wait

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


def wait(status: int, **headers: str) -> float | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return seconds_to_wait(status, HTTPHeaderDict(named), NOW)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("0", 0),
        ("3600", 3600),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        ("3601", None),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), None),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("1e3", None),
        ("٣", None),
        ("9" * 400, None),
        (f"Mon, 01 Jan 2024 00:00:00 +{'9' * 20}", None),
    ],
)
@pytest.mark.parametrize("status", [200, 301, 403, 429, 503])
def test_retry_after_counts_in_either_form_on_any_answer(
    status: int, said: str, seconds: float | None
) -> None:
    assert wait(status, Retry_After=said) == seconds


@pytest.mark.parametrize(
    "said", ["42", str(EPOCH + 42), str((EPOCH + 42) * 1000), f"{EPOCH + 42}.000", "2026-03-01T12:00:42Z"]
)
@pytest.mark.parametrize("name", ["X_RateLimit_Reset", "RateLimit_Reset", "X_Rate_Limit_Reset"])
def test_reset_headers_count_where_a_limit_refused_the_call(name: str, said: str) -> None:
    remaining = name.replace("Reset", "Remaining")
    assert wait(429, **{name: said}) == 42
    assert wait(403, **{name: said, remaining: "0"}) == 42
    assert wait(403, **{name: said, remaining: "17"}) is None
    assert wait(403, **{name: said}) is None
    for status in (200, 404, 409, 500, 503):
        assert wait(status, **{name: said, remaining: "0"}) is None


def test_retry_after_goes_before_the_end_of_the_window() -> None:
    assert wait(429, Retry_After="3", X_RateLimit_Reset=str(EPOCH + 900)) == 3
    assert wait(429, Retry_After="soon", X_RateLimit_Reset=str(EPOCH + 900)) == 900


def test_of_several_limits_the_one_that_lasts_longest_counts() -> None:
    assert wait(429, RateLimit_Reset="5", X_RateLimit_Reset=str(EPOCH + 60)) == 60


@pytest.mark.parametrize("said", ["soon", "-5", "", "NaN", "1e9", str(EPOCH + 3601), "9" * 18])
def test_a_reset_that_cannot_be_waited_for_says_nothing(said: str) -> None:
    assert wait(429, X_RateLimit_Reset=said) is None


def test_a_reset_that_is_past_may_be_asked_at_once() -> None:
    assert wait(429, X_RateLimit_Reset=str(EPOCH - 10)) == 0


def test_moments_are_told_by_the_clock_of_the_system_that_names_them() -> None:
    theirs = NOW + timedelta(minutes=20)
    headers = {"Date": format_datetime(theirs, usegmt=True)}
    assert wait(429, X_RateLimit_Reset=str(EPOCH + 1230), **headers) == 30
    assert wait(503, Retry_After=format_datetime(theirs + timedelta(seconds=8), usegmt=True), **headers) == 8


@given(st.sampled_from([403, 429, 503]), st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_whatever_a_system_says_the_wait_is_none_or_within_an_hour(
    status: int, after: str, reset: str, date: str
) -> None:
    found = wait(status, Retry_After=after, X_RateLimit_Reset=reset, X_RateLimit_Remaining="0", Date=date)
    assert found is None or 0 <= found <= 3600
