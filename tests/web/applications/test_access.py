"""The Access tab: who has access, and the one poller behind its chips."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from app.models import Application, Grant
from app.services import grants
from tests.support.factories import (
    NOW,
    http_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.web.readers import Reader, actor, fresh


@pytest.fixture
def jira(web: Session, alice: Reader) -> Application:
    """An application whose grants start runs."""
    application = make_application(web, name="Jira")
    make_workflow(web, application, http_step(connection_id=make_connection(web, application).id))
    web.commit()
    return application


def give(web: Session, alice: Reader, application: Application, **details: object) -> Grant:
    user = make_user(web, **details.pop("user", {}))  # type: ignore[arg-type]
    record = grants.grant(web, actor(web, alice), application=application, user=user, now=NOW, **details)  # type: ignore[arg-type]
    web.commit()
    return record


def poller(page) -> str:  # type: ignore[no-untyped-def]
    return str(page.one("#chips-poll").get("hx-get", ""))


def set_state(web: Session, record: Grant, state: str) -> None:
    fresh(web)
    record.state = state
    web.commit()


def test_it_shows_who_has_what_since_when_and_by_whom(alice: Reader, web: Session, jira: Application) -> None:
    give(web, alice, jira, access_level="Member", user={"first_name": "Jane", "last_name": "Doe"})
    give(web, alice, jira, record_only=True, user={"first_name": "Sam", "last_name": "Sample"})
    sam, jane = alice.client.get(f"/applications/{jira.id}").table("grants")
    assert (jane["Person"], jane["Level"], jane["Automation"]) == ("Jane Doe", "Member", "Provisioning…")
    assert "by Alice Example" in jane["Granted"]
    assert sam["Automation"] == "No automation recorded only, by choice"


def test_the_chip_leads_to_the_run_for_those_who_may_see_runs(
    alice: Reader, bob: Reader, web: Session, jira: Application
) -> None:
    record = give(web, alice, jira)
    chip = f"#grant-{record.id}-chip a"
    path = f"/applications/{jira.id}"
    assert alice.client.get(path).one(chip)["href"] == f"/runs/{record.newest_run_id}"
    assert bob.client.get(path).one(chip)["href"] == f"/grants/{record.id}#decisions"


def test_it_filters_by_person_activity_and_chip(alice: Reader, web: Session, jira: Application) -> None:
    give(web, alice, jira, user={"first_name": "Jane", "last_name": "Doe"})
    gone = give(web, alice, jira, user={"first_name": "Gone", "last_name": "Guy"}, record_only=True)
    grants.revoke(web, actor(web, alice), gone, now=NOW)
    web.commit()
    path = f"/applications/{jira.id}"

    def people(query: str) -> list[str]:
        return [row["Person"] for row in alice.client.get(f"{path}?{query}").table("grants")]

    assert people("") == ["Jane Doe"]
    assert people("show=revoked") == ["Gone Guy"]
    assert people("show=all&q=JANE+d") == ["Jane Doe"]
    assert people("show=all&state=no_automation") == ["Gone Guy"]
    page = alice.client.get(f"{path}?q=nobody")
    assert "No grant matches these filters" in page.text
    assert "Nobody has access" not in page.text


def test_it_pages_newest_first(alice: Reader, web: Session, jira: Application) -> None:
    for number in range(30):
        give(web, alice, jira, user={"first_name": f"P{number:02}", "last_name": ""}, record_only=True)
    first = alice.client.get(f"/applications/{jira.id}")
    second = first.follow("Older")
    assert [r["Person"] for r in first.table("grants") + second.table("grants")] == [
        f"P{number:02}" for number in reversed(range(30))
    ]
    assert second.follow("Newer").table("grants") == first.table("grants")


def test_fifty_grants_ask_with_one_poller_and_few_statements(
    alice: Reader, web: Session, jira: Application, statements: Callable[[Callable[[], object]], int]
) -> None:
    give(web, alice, jira)
    one = statements(lambda: alice.client.get(f"/applications/{jira.id}"))
    for _ in range(24):
        give(web, alice, jira)
    page = alice.client.get(f"/applications/{jira.id}")
    assert len(page.select("[data-poll]")) == 1
    assert statements(lambda: alice.client.get(f"/applications/{jira.id}")) == one <= 8
    assert statements(lambda: alice.client.fragment(poller(page), expect=204)) <= 3


def test_the_poll_is_silent_while_nothing_changed(alice: Reader, web: Session, jira: Application) -> None:
    record = give(web, alice, jira)
    address = poller(alice.client.get(f"/applications/{jira.id}"))
    first = alice.client.fragment(
        address, expect=200 if "v=2." not in address and "v=15." not in address else 204
    )
    assert first.html == ""
    assert record.state == "provisioning"


def test_a_changed_chip_comes_out_of_band_and_polling_ends(
    alice: Reader, web: Session, jira: Application
) -> None:
    record = give(web, alice, jira, user={"first_name": "Jane", "last_name": "Doe"})
    address = poller(alice.client.get(f"/applications/{jira.id}"))
    set_state(web, record, "provisioned")
    part = alice.client.fragment(address)
    assert part.texts(f"#grant-{record.id}-chip") == ["Provisioned"]
    assert part.one(f"#grant-{record.id}-chip")["hx-swap-oob"] == "true"
    assert part.one("#chips-poll").get("hx-get") is None
    assert part.texts("#announce") == ["Jane Doe: Provisioned."]


def test_a_page_without_anything_in_flight_does_not_ask(
    alice: Reader, web: Session, jira: Application
) -> None:
    give(web, alice, jira, record_only=True)
    assert poller(alice.client.get(f"/applications/{jira.id}")) == ""


def test_waiting_for_a_person_is_asked_about_rarely(alice: Reader, web: Session, jira: Application) -> None:
    record = give(web, alice, jira)
    set_state(web, record, "waiting")
    page = alice.client.get(f"/applications/{jira.id}")
    every = str(page.one("#chips-poll")["hx-trigger"])
    assert 25 <= float(every.removeprefix("every ").split("s,")[0]) <= 35


@pytest.mark.parametrize(
    "v", ["", "x", "2.", "99999.1p", "2.1p-zz", "2." + "9" * 30 + "p", "2." + "1p-" * 500]
)
def test_an_edited_poll_address_is_read_as_far_as_it_makes_sense(
    alice: Reader, jira: Application, v: str
) -> None:
    alice.client.fragment(f"/applications/{jira.id}/chips?v={v}", expect=200)


def test_a_poll_says_nothing_about_another_application(
    alice: Reader, web: Session, jira: Application
) -> None:
    record = give(web, alice, jira)
    other = make_application(web)
    web.commit()
    part = alice.client.fragment(f"/applications/{other.id}/chips?v=2.{record.id}w")
    assert part.select(f"#grant-{record.id}-chip") == []
