"""A system that answers 200 whatever happens, ignores filters, repeats itself, is slow, and loses answers.

People are in several teams, each grant with a seat of its own.  Whatever happens: no call changes anything of another
person, no revoke takes another team's seat, and no chip says what is not so.
"""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from app.connectors import judge
from app.crypto import KeyRing
from app.extensions import db
from app.models import Grant
from app.permissions import ALL_PERMISSIONS, Actor
from tests.support.vendors.base import Answer
from tests.support.vendors.desk import TEMPLATE, Desk
from tests.support.vendors.world import World

ADMIN = Actor("user", "Alice Admin", ALL_PERMISSIONS, source="test")
PEOPLE, TEAMS = ("ada", "bo"), ("eng", "finance")
MISHAPS = ("ignore", "repeat", "lie", "page", "slow", "never", "lose", "rename", "leave")
ACTS = st.lists(
    st.tuples(
        st.sampled_from(("grant", "grant", "revoke", "revoke", *MISHAPS)),
        st.sampled_from(PEOPLE),
        st.sampled_from(TEAMS),
    ),
    max_size=12,
)
LIE = Answer(200, {"ok": False, "error": "read_only"})
PAGE = Answer(200, page="<!doctype html><title>Sign in</title>")


class Office:
    """The people, their grants, and whose each account is."""

    def __init__(self, session: Session, keyring: KeyRing) -> None:
        self.desk = Desk()
        self.boss = self.desk.seed("boss@example.org")
        self.world = World(session, ADMIN, keyring, TEMPLATE, self.desk)
        self.people = {name: self.world.person(f"{name}@example.org") for name in PEOPLE}
        self.owner: dict[str, str] = {}
        self.grants: list[tuple[str, str, Grant]] = []
        self.renames = 0

    def do(self, act: str, name: str, team: str) -> None:
        before = len(self.desk.writes)
        seats = dict(self.desk.seats)
        if act == "grant":
            grant = self.world.grant(self.people[name], team)
            self.grants.append((name, team, grant))
            self.judge(name, team, grant, before)
        elif act == "revoke":
            mine = next((one for one in self.grants if one[0] == name), None)
            if mine is not None:
                self.grants.remove(mine)
                self.world.revoke(mine[2])
                self.judge(*mine, before)
                lost = [one["team"] for number, one in seats.items() if number not in self.desk.seats]
                assert lost in ([], [mine[1]]), "only the seat of this grant is taken away"
        else:
            self.mishap(act, name)
        if act in ("grant", "revoke"):
            self.desk.instead.clear()
            self.desk.loses.clear()

    def mishap(self, act: str, name: str) -> None:
        match act:
            case "ignore":
                self.desk.ignores = not self.desk.ignores
            case "repeat":
                self.desk.repeats = not self.desk.repeats
            case "lie":
                self.desk.instead.append(LIE)
            case "page":
                self.desk.instead.append(PAGE)
            case "slow":
                self.desk.pending = 3
            case "never":
                self.desk.pending = 40
            case "lose":
                self.desk.loses += ["POST"]
            case "rename":
                self.renames += 1
                self.world.change(self.people[name], email=f"{name}{self.renames}@example.org")
            case "leave":
                self.desk.seats = {
                    number: one
                    for number, one in self.desk.seats.items()
                    if self.owner[one["account"]] != name
                }

    def judge(self, name: str, team: str, grant: Grant, before: int) -> None:
        for write in self.desk.writes[before:]:
            if write.method == "POST" and write.path == "/accounts":
                self.owner[write.whose] = name
            assert self.owner.get(write.whose) == name, f"{name} is not whom {write} is about"
        seats = [
            number
            for number, one in self.desk.seats.items()
            if self.owner[one["account"]] == name and one["team"] == team
        ]
        self.world.session.refresh(grant)
        kept = grant.kept.get("seat")
        match self.world.chip(grant):
            case "provisioned":
                assert kept in seats, f"{name} is said to be in {team}"
            case "deprovisioned":
                assert kept not in seats, f"{name} is said to be out of {team}"


def play(app: Flask, database: Any, acts: list[tuple[str, str, str]]) -> None:
    database.reset(app)
    with app.app_context():
        office = Office(db.session(), app.extensions["keyring"])
        for act in acts:
            office.do(*act)
        assert office.desk.teams_of(office.boss) == []
        db.session.remove()


@settings(max_examples=30)
@given(acts=ACTS)
def test_no_one_elses_seat_is_touched_and_no_chip_lies(sqlite_app: tuple[Flask, Any], acts: Any) -> None:
    play(*sqlite_app, acts)


BOTH = [("grant", "ada", "eng"), ("grant", "ada", "finance"), ("revoke", "ada", "eng")]


def test_the_property_notices_an_answer_that_is_not_looked_at(
    sqlite_app: tuple[Flask, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = [("grant", "ada", "eng"), ("never", "ada", "eng"), ("revoke", "ada", "eng")]
    lied = [("grant", "ada", "eng"), ("lie", "ada", "eng"), ("revoke", "ada", "eng")]
    for one in (BOTH, acts, lied):
        play(*sqlite_app, one)
    monkeypatch.setattr(judge, "_holds", lambda condition, *_: condition.than != "pending")
    with pytest.raises(AssertionError, match="is said to be out of eng"):
        play(*sqlite_app, lied)
