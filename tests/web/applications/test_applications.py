"""The list of applications, and adding, changing, archiving and restoring one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import Application, Grant, Role
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

ODD = ["<img hx-get=/x onerror=1>", "{{7*7}}", "🙂 Größe", 'O\'Brien & sons "quoted"', "x" * 200]


def test_the_first_day_says_what_to_do(alice: Reader) -> None:
    page = alice.client.get("/applications")
    assert "No applications yet" in page.text
    assert page.follow("Add application").h1 == "Add application"


def test_adding_one_opens_it(bob: Reader, web: Session) -> None:
    form = bob.client.get("/applications/new").form("application")
    done = form.fill(name="Jira", url="jira.example.com", critical=True, notes="one\ntwo").submit()
    page = bob.client.get(done.location)
    assert page.h1 == "Jira"
    assert "Jira is added." in page.text
    saved = web.scalars(select(Application)).one()
    assert (saved.url, saved.is_critical, saved.notes) == ("jira.example.com", True, "one\ntwo")
    assert page.one('a[rel="noreferrer noopener"]')["href"] == "https://jira.example.com"


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_is_shown_as_it_is(alice: Reader, name: str) -> None:
    done = alice.client.get("/applications/new").form("application").fill(name=name).submit()
    assert alice.client.get(done.location).h1 == name
    assert name in alice.client.get("/applications").text


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "Enter a name."),
        ("name", "x" * 201, "Use at most 200 characters."),
        ("name", "a\0b", ""),
        ("description", "x" * 2001, "Use at most 2,000 characters."),
        ("notes", "x" * 2001, "Use at most 2,000 characters."),
        ("vendor", "x" * 201, "Use at most 200 characters."),
        ("url", "javascript:alert(1)", "Enter a web address"),
    ],
)
def test_a_refused_field_is_named_and_the_rest_stays(
    alice: Reader, web: Session, *, field: str, value: str, message: str
) -> None:
    values = {"name": "Kept", "category": "Finance", field: value}
    page = alice.client.get("/applications/new").form("application").fill(values).submit(expect=422)
    assert message in page.errors()[field]
    assert page.title.startswith("Error: ")
    form = page.form("application")
    assert form["category"] == "Finance"
    assert form[field].strip("\n") == value.replace("\0", "")
    assert web.scalar(select(func.count(Application.id))) == 0


def test_a_taken_name_is_refused_whatever_its_case(alice: Reader, web: Session) -> None:
    make_application(web, name="Jira")
    web.commit()
    form = alice.client.get("/applications/new").form("application").fill(name="JIRA")
    assert form.submit(expect=422).errors() == {"name": "There is an application with this name."}


def test_htmx_gets_the_refused_form_alone(alice: Reader) -> None:
    part = alice.client.get("/applications/new").form("application").submit(expect=422, htmx=True)
    assert part.is_fragment
    assert part.errors() == {"name": "Enter a name."}


def test_changing_one_keeps_what_was_stored(alice: Reader, web: Session) -> None:
    application = make_application(web, name="Jira", vendor="Atlassian", is_critical=True)
    web.commit()
    form = alice.client.get(f"/applications/{application.id}/edit").form("application")
    assert (form["name"], form["vendor"], form["critical"]) == ("Jira", "Atlassian", "1")
    form.fill(vendor="Somebody", critical=False).submit()
    fresh(web)
    assert (application.vendor, application.is_critical, application.name) == ("Somebody", False, "Jira")


def test_the_search_is_in_the_address_and_says_what_found_nothing(alice: Reader, web: Session) -> None:
    make_application(web, name="Jira", vendor="Atlassian")
    make_application(web, name="100% Payroll")
    web.commit()
    found = alice.client.get("/applications?q=ATLAS").table("applications")
    assert [row["Application"] for row in found] == ["Jira"]
    assert [r["Application"] for r in alice.client.get("/applications?q=0%25").table("applications")] == [
        "100% Payroll"
    ]
    page = alice.client.get("/applications?q=nothing_like_it")
    assert "No application matches “nothing_like_it”" in page.text
    assert page.form_with("Apply")["q"] == "nothing_like_it"
    assert len(page.follow("Clear filters").table("applications")) == 2


@pytest.mark.parametrize(
    "query", ["q=%00", "q=%ff%fe", "before=abc", "after=99999999999999999999", "show=odd", "q=" + "x" * 900]
)
def test_an_edited_address_is_read_as_far_as_it_makes_sense(alice: Reader, query: str) -> None:
    alice.client.get(f"/applications?{query}", expect=200)


def test_the_list_says_what_is_automated_and_what_failed(alice: Reader, web: Session) -> None:
    jira, payroll = make_application(web, name="Jira"), make_application(web, name="Payroll")
    make_application(web, name="Wiki")
    step = http_step(connection_id=make_connection(web, jira).id)
    make_workflow(web, jira, step)
    make_workflow(web, payroll, step, is_enabled=False)
    make_workflow(web, payroll, trigger="access_revoked")
    user = make_user(web)
    record = grants.grant(web, actor(web, alice), application=jira, user=user, now=NOW)
    web.flush()
    record.state = "needs_attention"
    web.commit()
    rows = {row["Application"]: row for row in alice.client.get("/applications").table("applications")}
    assert (rows["Jira"]["When granted"], rows["Jira"]["When revoked"]) == ("On", "None")
    assert (rows["Payroll"]["When granted"], rows["Payroll"]["When revoked"]) == ("Off", "Off")
    assert [rows[name]["Attention"] for name in ("Jira", "Payroll", "Wiki")] == [
        "Needs attention",
        "None",
        "None",
    ]


def test_the_list_pages_by_name_and_back(alice: Reader, web: Session) -> None:
    for number in range(60):
        make_application(web, name=f"App {number:02}")
    web.commit()

    def names(page) -> list[str]:  # type: ignore[no-untyped-def]
        return [row["Application"] for row in page.table("applications")]

    first = alice.client.get("/applications")
    second = first.follow("Next")
    third = second.follow("Next")
    assert [*names(first), *names(second), *names(third)] == [f"App {number:02}" for number in range(60)]
    assert names(third.follow("Previous")) == names(second)
    assert third.select('a[rel="next"]') == []


def test_the_list_takes_the_same_few_statements_however_long(
    alice: Reader, web: Session, statements: Callable[[Callable[[], object]], int]
) -> None:
    make_application(web)
    web.commit()
    few = statements(lambda: alice.client.get("/applications"))
    for _ in range(24):
        make_application(web)
    web.commit()
    assert statements(lambda: alice.client.get("/applications")) == few <= 9


def test_archiving_takes_it_from_the_list_and_restoring_brings_it_back(alice: Reader, web: Session) -> None:
    application = make_application(web, name="Jira")
    web.commit()
    edit = alice.client.get(f"/applications/{application.id}/edit")
    edit.follow("Archive…").press("Archive application")
    assert "Jira is archived." in alice.client.get("/applications").text
    assert [
        r["Application"] for r in alice.client.get("/applications?show=archived").table("applications")
    ] == ["Jira"]
    page = alice.client.get(f"/applications/{application.id}")
    assert "nobody can be given access" in page.text
    assert page.select('a[href$="/grant"]') == []
    alice.client.get(f"/applications/{application.id}/grant", expect=409)
    page.press("Restore application")
    assert len(alice.client.get("/applications").table("applications")) == 1


def test_an_application_that_somebody_may_use_is_not_archived(alice: Reader, web: Session) -> None:
    application, user = make_application(web), make_user(web)
    grants.grant(web, actor(web, alice), application=application, user=user, now=NOW)
    web.commit()
    page = alice.client.get(f"/applications/{application.id}/archive")
    assert "Somebody still has access." in page.text
    refused = alice.client.post(f"/applications/{application.id}/archive", expect=409)
    assert "Revoke every grant first." in refused.text


def test_tabs_lead_only_where_the_reader_may_go(alice: Reader, bob: Reader, web: Session) -> None:
    application = make_application(web)
    web.commit()
    page = alice.client.get(f"/applications/{application.id}")
    assert page.texts(".tabs a") == ["Access", "Workflows", "Connections", "Runs"]
    assert bob.client.get(f"/applications/{application.id}").texts(".tabs a") == ["Access"]


def test_who_may_not_change_sees_why(bob: Reader, web: Session) -> None:
    application = make_application(web)
    web.scalars(select(Role).where(Role.kind == "member")).one().permissions = ["grant:read"]
    web.commit()
    page = bob.client.get(f"/applications/{application.id}")
    assert "Needs grant:write. Ask an administrator." in page.text
    assert "Needs application:write. Ask an administrator." in page.text
    refused = bob.client.post("/applications", {"name": "Forced"}, expect=403)
    assert "This needs the permission application:write." in refused.text
    assert web.scalar(select(func.count(Grant.id))) == 0


def test_an_unknown_application_is_a_page_that_says_so(alice: Reader) -> None:
    assert "There is no application 12345." in alice.client.get("/applications/12345", expect=404).text
