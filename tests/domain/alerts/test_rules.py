"""What is told and when, as plain decisions; and the words, which hold names and counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.alerts import words as alert_words
from app.domain.alerts.rules import (
    GRACE,
    LISTED,
    STATES,
    AlertKind,
    AlertText,
    Audience,
    Matter,
    OpenAlert,
    apart_from,
    difference,
    wait_after,
)
from app.domain.runs.breaker import BreakerState

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
K = AlertKind


def matter(kind: AlertKind = K.FAILURES, subject: str = "1", level: int = 1, **more: object) -> Matter:
    alert_text = AlertText(f"Jira {subject}", ("It fails.",), "/runs")
    return replace(Matter(kind, subject, Audience("workflow:run"), alert_text, level), **more)  # type: ignore[arg-type]


def known(
    kind: AlertKind = K.FAILURES, subject: str = "1", level: int = 1, gone_since: datetime | None = None
) -> OpenAlert:
    return OpenAlert(7, kind, subject, level, gone_since)


def test_what_is_new_opens_and_what_is_known_does_not_open_again() -> None:
    found = difference([known()], [matter(), matter(subject="2")], now=NOW)
    assert [one.subject for one in found.fresh] == ["2"]
    assert not difference([known()], [matter()], now=NOW)


@pytest.mark.parametrize(
    ("before", "level", "is_told"), [(1, 9, False), (1, 10, True), (37, 369, False), (37, 370, True)]
)
def test_it_has_grown_at_ten_times_what_was_last_told(before: int, level: int, is_told: bool) -> None:
    found = difference([known(level=before)], [matter(level=level)], now=NOW)
    assert bool(found.grown) is is_told


def test_a_failure_is_over_when_it_has_been_gone_for_a_while() -> None:
    assert difference([known()], [], now=NOW).leaving == [7]
    assert not difference([known(gone_since=NOW)], [], now=NOW + GRACE - timedelta(seconds=1))
    assert difference([known(gone_since=NOW)], [], now=NOW + GRACE).over == [7]
    assert difference([known(gone_since=NOW)], [matter()], now=NOW).back == [7]


def test_a_connection_that_is_back_is_over_at_once() -> None:
    assert difference([known(K.CONNECTION_PARKED)], [], now=NOW).over == [7]


def test_what_failed_on_a_parked_connection_is_told_as_the_parking_alone() -> None:
    parked = matter(K.CONNECTION_PARKED, about_id=5)
    failures = [matter(subject="a", connection_id=5), matter(subject="b", connection_id=6)]
    assert [one.subject for one in apart_from(failures, [parked, *failures])] == ["b"]


def test_waits_double_up_to_an_hour() -> None:
    assert [wait_after(tries).total_seconds() for tries in (1, 2, 3)] == [10, 20, 40]
    assert wait_after(100) == timedelta(hours=1)


def test_every_kind_has_a_word_and_those_that_tell_their_end_are_states() -> None:
    assert all(one.label for one in K)
    assert {one for one in K if one.tells_end} <= STATES
    for kind in K:
        if kind.tells_end:
            assert alert_words.resolved(kind, "Jira: fails", "/runs").title == "Resolved: Jira: fails"


def test_several_of_one_kind_are_one_message_that_lists_no_more_than_can_be_read() -> None:
    many = [matter(K.GRANT_EXPIRES, str(number)) for number in range(LISTED + 3)]
    alert_text = alert_words.together(K.GRANT_EXPIRES, many)
    assert alert_text.title == "Access of 13 grants expires soon"
    assert alert_text.lines[0] == "• Jira 0"
    assert alert_text.lines[-1] == "and 3 more"
    assert alert_words.together(K.GRANT_EXPIRES, many[:1]) == many[0].alert_text


def test_a_person_without_a_name_is_no_address() -> None:
    assert alert_words.person("Jane", "Doe", 7) == "Jane Doe"
    assert alert_words.person("", "", 7) == "person 7"
    alert_text = alert_words.connection_parked(
        connection="Main",
        connection_id=1,
        application="Jira",
        state=BreakerState.HELD,
        by="bob@example.org",
        until=NOW,
    )
    assert "example.org" not in " ".join(alert_text.lines)
    assert "Somebody parked it until 1 Mar 2026, 12:00 UTC." in " ".join(alert_text.lines)


def test_a_name_with_line_breaks_forges_no_line() -> None:
    alert_text = alert_words.revoke_failed(
        application="Jira\nResolved: all is well", application_id=1, people=2
    )
    assert "\n" not in alert_text.title
    assert alert_text.title.startswith("Jira Resolved")


def test_the_digest_counts_and_lists_what_began_what_was_resolved_and_what_is_open() -> None:
    alert_text = alert_words.digest(
        day="1 Mar 2026", failed=["a", "b"], fixed=["a"], still_open=["b"], overdue=1
    )
    assert alert_text.lines == (
        "Since yesterday: 2 began, 1 resolved. Still open: 1.",
        "Began:",
        "• a",
        "• b",
        "Resolved since:",
        "• a",
        "Still open:",
        "• b",
        "1 task overdue.",
    )
