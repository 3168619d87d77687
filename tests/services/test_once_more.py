"""What the database undid for the sake of another act is done once more, unless that would do something twice."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from flask import Flask
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from app.services.transaction import before_asking_outside, once_more, transaction
from tests.support.factories import make_group


def undone(state: str) -> BaseException:
    return DBAPIError.instance("UPDATE", {}, errors.lookup(state)(""), psycopg.Error, dialect=None)


def save() -> None:
    with transaction() as session:
        make_group(session)


@pytest.mark.parametrize("state", ["40P01", "40001"])
def test_an_act_that_was_undone_is_done_once_more(only_sqlite: Flask, state: str) -> None:
    faults = [undone(state)]

    def act() -> str:
        with transaction():
            if faults:
                raise faults.pop()
        return "done"

    with only_sqlite.app_context():
        assert once_more(act) == "done"


@pytest.mark.parametrize(
    ("before", "state"),
    [(save, "40P01"), (before_asking_outside, "40P01"), (lambda: None, "55P03")],
    ids=["something was committed", "a stranger was asked", "it was waited for in vain"],
)
def test_what_would_be_done_twice_or_in_vain_is_not(
    only_sqlite: Flask, before: Callable[[], None], state: str
) -> None:
    tries = []

    def act() -> None:
        before()
        tries.append(1)
        raise undone(state)

    with only_sqlite.app_context():
        with pytest.raises(DBAPIError):
            once_more(act)
        assert tries == [1]
        before_asking_outside()
