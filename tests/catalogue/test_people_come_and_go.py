"""Several people come, go, are renamed and come back, while the vendor ignores filters, loses answers and is moved.

Whatever happens: nobody's account is written to but that of the person it is about, and no chip says what is not so.
"""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from app.extensions import db
from app.models import Grant, User
from app.permissions import ALL_PERMISSIONS, Actor
from tests.support.vendors.cases import BOSS, CASES, Case
from tests.support.vendors.world import World

PEOPLE = ("ada", "bo", "cy")
# As often as they are listed.
OFTEN = ("grant", "grant", "grant", "record", "revoke", "revoke", "rename")
MISHAPS = ("by hand", "delete", "ignore", "lose", "hurry", "move")
ACTS = st.lists(st.tuples(st.sampled_from(OFTEN + MISHAPS), st.sampled_from(PEOPLE)), max_size=14)
ADMIN = Actor("user", "Alice Admin", ALL_PERMISSIONS, source="test")


class Town:
    """The people with their accounts, by whom they belong to: made for them, or theirs by their address."""

    def __init__(self, world: World, vendor: Any) -> None:
        self.world, self.vendor = world, vendor
        self.people = {name: world.person(f"{name}@example.org", username=name) for name in PEOPLE}
        self.held: dict[str, list[Grant]] = {name: [] for name in PEOPLE}
        self.owned: dict[str, set[str]] = {name: set() for name in PEOPLE}
        self.renames = 0
        if hasattr(vendor, "logins"):
            for name in PEOPLE:
                self.owned[name].add(str(vendor.seed(name)))
        self.numbers = {number for numbers in self.owned.values() for number in numbers}

    def do(self, act: str, name: str) -> None:
        before, ada = len(self.vendor.writes), self.people[name]
        touched: Grant | None = None
        if act in ("grant", "record"):
            touched = self.world.grant(ada, record_only=act == "record")
            self.held[name].append(touched)
        elif act == "revoke" and self.held[name]:
            touched = self.held[name].pop(0)
            self.world.revoke(touched)
        elif act == "rename":
            self.renames += 1
            # What somebody else made under the name of before, nobody here can know of.
            self.owned[name] &= self.vendor.touched() | self.numbers | self.seen(name)
            self.world.change(ada, email=f"{name}.{self.renames}@example.org")
        else:
            self.outside(act, name, ada)
        for write in self.vendor.writes[before:]:
            if write.method == "POST" and not self.owner(write.whose):
                self.owned[name].add(write.whose)
            assert self.owner(write.whose) == name, f"{act} of {name} wrote to {write}"
        self.vendor.loses.clear()
        if touched is not None:
            self.true(name, touched)

    def outside(self, act: str, name: str, ada: User) -> None:
        match act:
            case "by hand" if not hasattr(self.vendor, "logins") and not self.taken(ada.email):
                self.owned[name].add(str(self.vendor.seed(ada.email)))
            case "delete" if hasattr(self.vendor, "delete"):
                for number in sorted(self.owned[name]):
                    if self.vendor.is_on(number):
                        self.vendor.delete(number)
            case "ignore" if hasattr(self.vendor, "ignores_filters"):
                self.vendor.ignores_filters = not self.vendor.ignores_filters
            case "lose":
                self.vendor.loses += ["POST", "PATCH", "PUT"]
            case "hurry":
                self.vendor.instead.append(self.vendor.too_many())
            case "move":
                here = self.world.connection.config["base_url"] == self.vendor.base
                self.world.move(f"{self.vendor.base}/elsewhere" if here else self.vendor.base)

    def seen(self, name: str) -> set[str]:
        """What the console has kept of the person's account, and of their memberships."""
        kept = [self.world.account(self.people[name]), *(one.kept for one in self.held[name])]
        return {str(value) for values in kept for value in values.values()}

    def taken(self, email: str) -> bool:
        kept = getattr(self.vendor, "users", None) or getattr(self.vendor, "members", {})
        return email in str(kept)

    def owner(self, number: str) -> str | None:
        return next((name for name, numbers in self.owned.items() if number in numbers), None)

    def true(self, name: str, grant: Grant) -> None:
        """The chip is as the outside is, wherever nobody has gone behind our back since."""
        on = [number for number in self.owned[name] if self.is_on(number)]
        match self.world.chip(grant):
            case "provisioned":
                assert on, f"{name} is said to have access"
            # What is left may be another grant's.
            case "deprovisioned" if not self.held[name]:
                assert not on, f"{name} is said to have none"

    def is_on(self, number: str) -> bool:
        there: bool = self.vendor.is_on(int(number) if hasattr(self.vendor, "logins") else number)
        return there


@pytest.mark.parametrize("case", CASES, ids=lambda one: one.key)
@settings(max_examples=8)
@given(acts=ACTS)
def test_nobody_elses_account_is_touched_and_no_chip_lies(
    sqlite_app: tuple[Flask, Any], case: Case, acts: list[tuple[str, str]]
) -> None:
    app, database = sqlite_app
    database.reset(app)
    with app.app_context():
        vendor = case.vendor()
        boss = vendor.seed(BOSS)
        town = Town(case.world(db.session(), ADMIN, app.extensions["keyring"], vendor), vendor)
        for act, name in acts:
            town.do(act, name)
        assert case.key == "github" or town.is_on(str(boss))
        db.session.remove()
