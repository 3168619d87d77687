"""Each template in the engine against a double of its vendor: the right account, and the true outcome."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.crypto import KeyRing
from app.permissions import Actor
from tests.support.vendors.cases import ADA, BOSS, CASES, LIST, Case
from tests.support.vendors.world import World

pytestmark = pytest.mark.sqlite_only
NEW = "ada.king@example.org"
HOSTILE = (f'x" or userName eq "{BOSS}', f"x' or mail eq '{BOSS}", "*@example.org", "a/../b", "boss\\")
# GitHub's calls name one person and filter nothing.
filters = pytest.mark.parametrize(
    "case", [one for one in CASES if one.key != "github"], ids=lambda one: one.key, indirect=True
)


@pytest.fixture(params=CASES, ids=lambda one: one.key)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def vendor(case: Case) -> Any:
    """With somebody else's account, which nobody has any business with."""
    made = case.vendor()
    made.seed(BOSS)
    return made


@pytest.fixture
def world(session: Session, admin: Actor, keyring: KeyRing, case: Case, vendor: Any) -> World:
    return case.world(session, admin, keyring, vendor)


def test_a_grant_makes_one_account_that_a_revoke_takes_away(case: Case, world: World, vendor: Any) -> None:
    mine = (
        None if case.makes and case.key != "github" else vendor.seed("ada" if case.key == "github" else ADA)
    )
    ada = case.ada(world)
    first = world.grant(ada)
    assert (world.said(first), world.chip(first)) == ("succeeded", "provisioned")
    mine = mine or next(iter(vendor.touched()))
    assert vendor.is_on(mine)
    world.revoke(first)
    assert (world.said(first), world.chip(first)) == ("succeeded", "deprovisioned")
    assert not vendor.is_on(mine)
    assert vendor.touched() == {str(mine)}


def test_an_account_that_is_there_already_is_taken_up_and_no_other_is_made(
    case: Case, world: World, vendor: Any
) -> None:
    mine = case.there(vendor)
    before = _count(vendor)
    first = world.grant(case.ada(world))
    assert world.said(first) == "succeeded"
    assert _count(vendor) == before
    assert vendor.touched() <= {str(mine)}
    world.revoke(first)
    assert (world.said(first), vendor.is_on(mine)) == ("succeeded", False)
    assert vendor.touched() == {str(mine)}


def test_who_comes_back_under_another_address_gets_the_account_of_before(
    case: Case, world: World, vendor: Any
) -> None:
    mine = case.there(vendor)
    ada = case.ada(world)
    world.revoke(world.grant(ada))
    world.change(ada, email=NEW, last_name="King")
    before = _count(vendor)
    again = world.grant(ada)
    assert (world.said(again), world.chip(again)) == ("succeeded", "provisioned")
    if case.key == "mailman":  # A member is an address.
        assert vendor.on(LIST) == [NEW, BOSS]
        return
    assert (vendor.is_on(mine), _count(vendor)) == (True, before + (case.key == "github"))
    assert vendor.touched() == {str(mine)}
    if case.key in ("scim", "slack"):
        user = vendor.users[mine]
        assert (user["emails"][0]["value"], user["name"]["familyName"]) == (NEW, "King")
    if case.key == "okta":
        profile = vendor.users[mine]["profile"]
        assert (profile["login"], profile["email"], profile["lastName"]) == (NEW, NEW, "King")
        assert vendor.mails == [NEW]


@pytest.mark.parametrize("wrong", ["", "/elsewhere"], ids=["a web server", "the vendor's own 404"])
def test_a_wrong_address_never_ends_as_deprovisioned(
    case: Case, world: World, vendor: Any, wrong: str
) -> None:
    mine = case.there(vendor)
    first = world.grant(case.ada(world))
    host = "/".join(vendor.base.split("/")[:3])
    world.move(f"{vendor.base}{wrong}" if wrong else f"{host}/no/such/base")
    world.revoke(first)
    assert (world.run(first).status, world.chip(first)) == ("failed", "needs_attention")
    assert vendor.is_on(mine)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_grant_that_was_only_recorded_is_revoked_by_looking_the_account_up(
    case: Case, world: World, vendor: Any, is_there: bool
) -> None:
    mine = case.there(vendor) if is_there else None
    if not is_there and case.key == "github":
        vendor.seed("ada")
    first = world.grant(case.ada(world), record_only=True)
    assert vendor.asked == []
    world.revoke(first)
    assert world.said(first) == "succeeded"
    if mine is not None:
        assert not vendor.is_on(mine)
        assert vendor.touched() == {str(mine)}
    else:
        assert vendor.touched() == set()
        assert world.steps(first)[-1][1] == "skipped"


def test_of_two_grants_one_ends_and_the_other_goes_on(case: Case, world: World, vendor: Any) -> None:
    mine = case.there(vendor)
    ada = case.ada(world)
    other = "news.example.org" if case.key == "mailman" else None
    first, second = world.grant(ada), world.grant(ada, other)
    assert (world.said(first), world.said(second)) == ("succeeded", "succeeded")
    world.revoke(first)
    if case.key == "mailman":
        assert (vendor.on(LIST), vendor.on("news.example.org")) == ([BOSS], [ADA])
    else:
        assert vendor.is_on(mine)
    world.revoke(second)
    if case.key == "mailman":
        assert vendor.on("news.example.org") == []
    else:
        assert not vendor.is_on(mine)
    assert str(mine) in vendor.touched()


def test_being_told_to_wait_costs_no_try(case: Case, world: World, vendor: Any) -> None:
    mine = case.there(vendor)
    # More often than a step is tried in all.
    vendor.instead.extend([vendor.too_many()] * 6)
    first = world.grant(case.ada(world))
    assert world.said(first) == "succeeded"
    assert world.waited() > timedelta(seconds=60)
    assert [status for _, status in world.steps(first)].count("failed") == 6
    assert vendor.touched() <= {str(mine)}


def test_an_answer_that_is_lost_makes_no_second_account(case: Case, world: World, vendor: Any) -> None:
    if not case.makes:
        vendor.seed(ADA)
    if case.key == "github":
        vendor.seed("ada")
    before = _count(vendor)
    vendor.loses += ["POST", "PUT"]
    first = world.grant(case.ada(world))
    assert world.said(first) == "succeeded"
    assert _count(vendor) == before + case.makes
    world.revoke(first)
    assert (world.said(first), len(vendor.touched())) == ("succeeded", 1)


def test_an_account_that_was_deleted_behind_our_back_is_gone_and_made_anew_on_the_next_grant(
    case: Case, world: World, vendor: Any
) -> None:
    old = case.there(vendor)
    ada = case.ada(world)
    first = world.grant(ada)
    if case.key == "github":
        del vendor.members[old]
    else:
        vendor.delete(old)
    world.revoke(first)
    assert (world.said(first), world.chip(first)) == ("succeeded", "deprovisioned")
    again = world.grant(ada)
    if not case.makes:
        # The directory's accounts are made by others, and the one that is known does not exist.
        assert (world.run(again).status, world.run(again).failure_status) == ("failed", 404)
        return
    assert world.said(again) == "succeeded"
    made = old if case.key == "github" else (vendor.touched() - {str(old)}).pop()
    assert vendor.is_on(made)
    world.revoke(again)
    assert not vendor.is_on(made)


@filters
@pytest.mark.parametrize("record_only", [False, True])
def test_a_system_that_ignores_filters_has_nobody_elses_account_touched(
    session: Session, admin: Actor, keyring: KeyRing, case: Case, record_only: bool
) -> None:
    vendor = case.vendor(ignores_filters=True)
    boss, mine = vendor.seed(BOSS), case.there(vendor)
    world = case.world(session, admin, keyring, vendor)
    first = world.grant(case.ada(world), record_only=record_only)
    world.revoke(first)
    assert vendor.touched() <= {str(mine)}
    assert vendor.is_on(boss)
    if case.key in ("scim", "slack", "mailman") or (case.key == "jira" and record_only):
        assert (world.run(first).failure_class, world.chip(first)) == ("unexpected_answer", "needs_attention")
    else:  # They name one person, or compare what they were given.
        assert world.said(first) == "succeeded"


@filters
def test_a_single_account_of_a_system_that_ignores_filters_is_not_taken_for_anybodys(
    session: Session, admin: Actor, keyring: KeyRing, case: Case
) -> None:
    vendor = case.vendor(ignores_filters=True)
    boss = vendor.seed(BOSS)
    world = case.world(session, admin, keyring, vendor)
    world.revoke(world.grant(case.ada(world), record_only=True))
    assert (vendor.touched(), vendor.is_on(boss)) == (set(), True)


def test_an_address_that_would_say_more_touches_nobody(case: Case, world: World, vendor: Any) -> None:
    before = _count(vendor)
    for hostile in HOSTILE:
        ada = world.person(hostile, username=hostile)
        world.revoke(world.grant(ada, record_only=True))
    assert (vendor.touched(), _count(vendor)) == (set(), before)


def _count(vendor: Any) -> int:
    kept = getattr(vendor, "users", None)
    return len(vendor.members if kept is None else kept)
