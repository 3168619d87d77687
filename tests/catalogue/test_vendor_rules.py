"""What each vendor asks for beyond what all have in common, and what its template makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.crypto import KeyRing
from app.permissions import Actor
from tests.support.vendors.base import Answer, Asked
from tests.support.vendors.cases import ADA, BOSS, CASES, LIST, Case
from tests.support.vendors.entra import Entra
from tests.support.vendors.github import GitHub
from tests.support.vendors.jira import Jira
from tests.support.vendors.mailman import Mailman
from tests.support.vendors.okta import Okta
from tests.support.vendors.scim import Scim
from tests.support.vendors.slack import Slack
from tests.support.vendors.world import World

pytestmark = pytest.mark.sqlite_only
BY_KEY: dict[str, Case] = {one.key: one for one in CASES}
Build = Callable[[str, Any], World]


@pytest.fixture
def build(session: Session, admin: Actor, keyring: KeyRing) -> Build:
    return lambda key, vendor: BY_KEY[key].world(session, admin, keyring, vendor)


# SCIM
def test_an_address_that_was_given_to_somebody_new_is_not_their_predecessors_account(build: Build) -> None:
    scim = Scim()
    old = scim.seed(ADA, externalId="left-long-ago", active=False)
    world = build("scim", scim)
    first = world.grant(world.person(ADA))
    assert world.run(first).failure_class == "unexpected_answer"
    assert (scim.touched(), scim.is_on(old), len(scim.users)) == (set(), False, 1)


def test_a_service_that_cannot_filter_by_our_id_is_asked_by_name(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scim, "filters", ("userName",))
    scim = Scim()
    mine = scim.seed("Ada@Example.org")
    world = build("scim", scim)
    first = world.grant(world.person(ADA))
    assert (world.said(first), len(scim.users)) == ("succeeded", 1)
    assert ("lookup", "branched") in world.steps(first)
    assert scim.users[mine]["userName"] == ADA
    world.revoke(first)
    assert (world.said(first), scim.is_on(mine)) == ("succeeded", False)


def test_a_service_that_says_yes_and_leaves_the_account_on_fails_the_revoke(build: Build) -> None:
    class Stubborn(Scim):
        def _operate(self, user: dict[str, Any], operation: dict[str, Any]) -> None:
            if operation["value"] is not False:
                super()._operate(user, operation)

    world = build("scim", Stubborn())
    first = world.grant(world.person(ADA))
    world.revoke(first)
    assert (world.run(first).failure_class, world.chip(first)) == ("unexpected_answer", "needs_attention")


def test_a_service_that_does_not_tell_whether_an_account_is_on_is_believed(build: Build) -> None:
    class Silent(Scim):
        def read(self, asked: Asked, number: str) -> Answer:
            answer = super().read(asked, number)
            del answer.body["active"]
            return answer

        read.route = Scim.read.route  # type: ignore[attr-defined]

    scim = Silent()
    world = build("scim", scim)
    first = world.grant(world.person(ADA))
    assert world.said(first) == "succeeded"
    world.revoke(first)
    assert (world.said(first), scim.is_on("scim-1")) == ("succeeded", False)


def test_an_account_that_was_made_anew_by_hand_is_another_account(build: Build) -> None:
    scim = Scim()
    world = build("scim", scim)
    ada = world.person(ADA)
    first = world.grant(ada)
    scim.delete(world.account(ada)["id"])
    another = scim.seed(ADA)
    world.revoke(first)
    assert (world.run(first).failure_class, scim.is_on(another)) == ("wrong_account", True)


@pytest.mark.parametrize("key", ["scim", "slack"])
def test_a_person_without_a_last_name_has_none_sent(build: Build, key: str) -> None:
    vendor = Scim() if key == "scim" else Slack()
    world = build(key, vendor)
    assert world.said(world.grant(world.person(ADA, last_name=""))) == "succeeded"
    [user] = vendor.users.values()
    assert user["name"] == {"givenName": "Ada"}


# Okta
@pytest.mark.parametrize("status", ["STAGED", "DEPROVISIONED"])
def test_okta_users_who_are_off_are_activated_and_waited_for(build: Build, status: str) -> None:
    okta = Okta(slow=3)
    mine = okta.seed("Ada@Example.org", status)
    world = build("okta", okta)
    first = world.grant(world.person(ADA))
    assert (world.said(first), okta.is_on(mine), okta.mails) == ("succeeded", True, [ADA])


def test_a_suspended_okta_user_fails_the_run_and_is_named(build: Build) -> None:
    okta = Okta()
    okta.seed(ADA, "SUSPENDED")
    world = build("okta", okta)
    first = world.grant(world.person(ADA))
    assert world.run(first).failure_class == "unexpected_answer"
    assert "SUSPENDED" in (world.run(first).failure_detail or "")
    assert okta.touched() == set()
    # Suspended or not: what is revoked ends.
    world.revoke(first)
    assert (world.said(first), okta.users[next(iter(okta.users))]["status"]) == ("succeeded", "DEPROVISIONED")


def test_okta_says_itself_what_it_lacks(build: Build) -> None:
    okta = Okta()
    world = build("okta", okta)
    first = world.grant(world.person(ADA, last_name=""))
    assert (world.run(first).status, okta.users) == ("failed", {})
    assert "lastName" in world.details(first)["create"]


# Entra
@pytest.mark.parametrize("username", ["ADA@acme.example", None])
def test_entra_accounts_are_found_by_principal_name_in_any_case(build: Build, username: str | None) -> None:
    entra = Entra()
    entra.seed(BOSS)
    mine = entra.seed("Ada@Acme.example" if username else "ADA@Example.org", accountEnabled=False)
    world = build("entra", entra)
    first = world.grant(world.person(ADA, username=username))
    assert (world.said(first), entra.is_on(mine)) == ("succeeded", True)
    world.revoke(first)
    assert (entra.is_on(mine), entra.signed_out, entra.touched()) == (False, [mine], {mine})


def test_a_permission_that_lacks_is_told_in_the_vendors_words(build: Build) -> None:
    entra = Entra()
    entra.seed(ADA)
    entra.may = {"User.Read.All"}
    world = build("entra", entra)
    assert "Insufficient privileges" in world.said(world.grant(world.person(ADA)))


# GitHub
def test_an_owner_is_neither_demoted_by_a_grant_nor_removed_by_a_revoke(build: Build) -> None:
    github = GitHub()
    owner = github.join("ada", "admin")
    world = build("github", github)
    first = world.grant(world.person(ADA, username="ada"))
    assert (world.said(first), world.steps(first)[-1]) == ("succeeded", ("invite", "skipped"))
    world.revoke(first)
    assert (world.run(first).failure_class, world.chip(first)) == ("unexpected_answer", "needs_attention")
    assert (github.members[owner]["role"], github.touched()) == ("admin", set())


def test_a_login_that_was_renamed_and_taken_by_another_is_not_taken_for_the_person(build: Build) -> None:
    github = GitHub()
    mine = github.seed("ada")
    world = build("github", github)
    ada = world.person(ADA, username="ada")
    first = world.grant(ada)
    github.logins[mine] = "ada-king"
    stranger = github.join("ada")
    second = world.grant(ada)
    assert (world.run(second).failure_class, github.is_on(stranger)) == ("wrong_account", True)
    world.revoke(second)
    world.revoke(first)
    assert (world.said(first), github.is_on(mine), github.is_on(stranger)) == ("succeeded", False, True)
    assert github.touched() == {str(mine)}


def test_github_is_waited_for_in_both_its_ways_and_a_refusal_is_none_of_them(build: Build) -> None:
    github = GitHub()
    github.seed("ada")
    world = build("github", github)
    github.instead.extend([github.too_fast(), github.too_many()])
    ada = world.person(ADA, username="ada")
    assert world.said(world.grant(ada)) == "succeeded"
    github.instead.append(github.error(403, "Resource not accessible by personal access token"))
    refused = world.grant(ada)
    assert (world.run(refused).failure_class, len(world.steps(refused))) == ("http_4xx", 1)


# Jira
def test_where_addresses_are_hidden_nobody_is_guessed(build: Build) -> None:
    jira = Jira()
    mine = jira.seed(ADA)
    jira.hidden.add(mine)
    world = build("jira", jira)
    first = world.grant(world.person(ADA), record_only=True)
    world.revoke(first)
    assert (world.run(first).failure_class, jira.touched()) == ("unexpected_answer", set())


def test_a_known_account_that_is_off_and_hides_its_address_is_said_to_be_off(build: Build) -> None:
    jira = Jira()
    world = build("jira", jira)
    ada = world.person(ADA)
    first = world.grant(ada)
    world.revoke(first)
    jira.hidden.add(world.account(ada)["id"])
    again = world.grant(ada)
    assert (world.run(again).failure_class, world.run(again).failure_step) == ("unexpected_answer", "check")
    assert len(jira.users) == 1


# Mailman
def test_a_list_that_does_not_exist_is_told_in_the_vendors_words(build: Build) -> None:
    world = build("mailman", Mailman())
    assert "No such list" in world.said(world.grant(world.person(ADA), "nowhere.example.org"))


def test_who_left_a_list_and_came_back_by_themselves_is_taken_off_it(build: Build) -> None:
    mailman = Mailman()
    world = build("mailman", mailman)
    ada = world.person(ADA)
    first = world.grant(ada)
    mailman.delete(next(iter(mailman.members)))
    mailman.seed(ADA)
    world.revoke(first)
    assert (world.said(first), mailman.on(LIST)) == ("succeeded", [])


def test_a_membership_is_ended_by_its_own_id_whatever_the_address_is_by_now(build: Build) -> None:
    mailman = Mailman()
    world = build("mailman", mailman)
    ada = world.person(ADA)
    first = world.grant(ada)
    world.change(ada, email="ada.king@example.org")
    world.revoke(first)
    assert (world.said(first), mailman.on(LIST)) == ("succeeded", [])


def test_a_jira_account_whose_address_is_spelt_in_other_letters_is_a_person_s_to_judge(build: Build) -> None:
    jira = Jira()
    mine = jira.seed("Ada@Example.org")
    world = build("jira", jira)
    first = world.grant(world.person(ADA), record_only=True)
    world.revoke(first)
    assert (jira.is_on(mine), world.chip(first)) == (True, "needs_attention")


def test_whoever_has_got_the_address_of_a_leaver_stays_on_the_list(build: Build) -> None:
    mailman, bob_s = Mailman(), "bob@example.org"
    world = build("mailman", mailman)
    ada, bob = world.person(ADA), world.person(bob_s)
    first, second = world.grant(ada), world.grant(bob)
    world.change(bob, email="bob.new@example.org")
    world.change(ada, email=bob_s)
    world.revoke(first)
    assert (world.chip(first), world.chip(second), len(mailman.members)) == (
        "needs_attention",
        "provisioned",
        1,
    )
