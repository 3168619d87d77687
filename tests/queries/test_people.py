"""People: found by what they are called, by email for pages and by age for the API."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.queries.people import PersonFilters, people_list
from tests.support.factories import make_user


def test_people_come_by_email_or_by_age_and_read_on_both_ways(session: Session) -> None:
    cy, ana, bo = (make_user(session, email=f"{name}@example.org") for name in ("cy", "ana", "bo"))
    everybody = PersonFilters()
    assert list(people_list(session, everybody, limit=2)) == [cy, ana]
    assert list(people_list(session, everybody, limit=2, before=ana.id)) == [bo]
    assert list(people_list(session, everybody, by_email=True, limit=2)) == [ana, bo]
    assert list(people_list(session, everybody, by_email=True, limit=2, before=bo.id)) == [cy]
    assert list(people_list(session, everybody, by_email=True, limit=2, after=cy.id)) == [bo, ana]


def test_people_are_found_by_part_of_what_they_are_called_and_signs_mean_themselves(session: Session) -> None:
    emile = make_user(session, first_name="Émile", last_name="Zola", email="e@example.org", username="100%")
    make_user(session, first_name="Emil", email="other@example.org", is_active=False)
    for text in ("Émile Z", "ZOLA", "e@ex", "0%"):
        assert list(people_list(session, PersonFilters(text=text), limit=9)) == [emile]
    assert list(people_list(session, PersonFilters(email="E@example.org"), limit=9)) == [emile]
    assert [one.first_name for one in people_list(session, PersonFilters(is_active=False), limit=9)] == [
        "Emil"
    ]
    assert list(people_list(session, PersonFilters(role="admin"), limit=9)) == []


def test_letters_beyond_ascii_are_found_as_typed_and_as_small_ones(session: Session) -> None:
    oerjan = make_user(session, first_name="Ørjan", last_name="Håland", email="o@example.org")
    for text in ("Ørjan", "Håland", "HÅland"):
        assert list(people_list(session, PersonFilters(text=text), limit=9)) == [oerjan]
