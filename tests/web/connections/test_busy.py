"""What a person is told whose call has no place among those that are out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.connectors import places
from app.connectors.places import Places
from app.models import AlertMessage, Connection
from tests.support.web.places import Place
from tests.support.web.readers import Reader


@pytest.fixture
def no_place(only_sqlite: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every place for calls to the outside is taken."""
    monkeypatch.setattr(places, "WAIT_SECONDS", 0.01)
    outside: Places = only_sqlite.extensions["outside"]
    with ExitStack() as taken:
        for _ in range(3):
            taken.enter_context(outside.one())
        yield


@pytest.mark.usefixtures("no_place")
@pytest.mark.parametrize("htmx", [True, False])
def test_a_test_that_was_not_sent_says_so_and_keeps_nothing(
    alice: Reader, place: Place, web: Session, htmx: bool
) -> None:
    web.get_one(Connection, place.http).config = {"base_url": "https://hr.example.org", "auth": "none"}
    web.commit()
    alice.client.get(f"/connections/{place.http}")
    page = alice.client.post(f"/connections/{place.http}/test", expect=503, htmx=htmx)
    assert "Nothing was done. Other calls from here to the outside still wait for their answers" in page.text
    assert "a few seconds" in page.text
    assert page.response.headers["Retry-After"] == "5"
    web.expire_all()
    assert web.get_one(Connection, place.http).tested_at is None


@pytest.mark.usefixtures("no_place")
def test_a_test_alert_that_was_not_sent_says_so_and_is_not_written_down(alice: Reader, web: Session) -> None:
    alice.client.get("/system")
    assert "Nothing was done." in alice.client.post("/system/test-alert", expect=503).text
    assert web.scalar(select(func.count()).select_from(AlertMessage)) == 0
