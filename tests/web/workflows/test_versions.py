"""Versions: listed, looked at, restored."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.models import Connection, Workflow
from app.permissions import SYSTEM
from app.schemas.workflows import VersionIn
from app.services import workflows
from tests.support.factories import NOW, add_version, http_step
from tests.support.web.places import Place
from tests.support.web.readers import Reader


@pytest.fixture
def second(web: Session, workflow: int, place: Place) -> int:
    """The workflow with another version on top."""
    data = VersionIn(steps=[http_step("other", place.http)], note="Only one step")
    workflows.save_version(web, SYSTEM, web.get_one(Workflow, workflow), data, now=NOW)
    web.commit()
    return workflow


def test_the_list_shows_author_time_and_note(bob: Reader, second: int) -> None:
    rows = bob.client.get(f"/workflows/{second}/versions").table("versions")
    assert [row["Version"] for row in rows] == ["Version 2 Newest", "Version 1"]
    assert (rows[0]["By"], rows[0]["Note"]) == ("Access Automation", "Only one step")
    assert "UTC" in rows[0]["Saved"]


def test_a_long_list_is_paged_by_key(bob: Reader, second: int, web: Session, place: Place) -> None:
    for number in range(3, 61):
        add_version(web, web.get_one(Workflow, second), http_step(f"s{number}", place.http))
    web.commit()
    page = bob.client.get(f"/workflows/{second}/versions")
    assert (len(page.table("versions")), page.table("versions")[0]["Version"]) == (50, "Version 60 Newest")
    older = page.follow("Older")
    assert [row["Version"] for row in older.table("versions")][::9] == ["Version 10", "Version 1"]
    assert older.follow("Newer").table("versions")[-1]["Version"] == "Version 11"
    for odd in ("before=x", "after=0", "before=99999999999999999999", "after=9223372036854775807"):
        bob.client.get(f"/workflows/{second}/versions?{odd}")


def test_a_version_leads_to_its_dry_run(bob: Reader, second: int) -> None:
    page = bob.client.get(f"/workflows/{second}/versions/1").follow("Dry-run")
    assert page.h1.startswith("Dry-run of")
    assert "Version 1" in page.text


def test_a_version_is_shown_to_read(bob: Reader, second: int) -> None:
    page = bob.client.get(f"/workflows/{second}/versions/1")
    assert page.texts("main h3") == ["1. Create", "2. ask"]
    assert not page.select("main input:not([type=hidden])")
    assert '"userName": "{{ grantee.email }}"' in page.html.replace("&#34;", '"')


def test_restoring_makes_a_new_version(bob: Reader, second: int, web: Session) -> None:
    page = bob.client.get(f"/workflows/{second}/versions/1")
    assert "Open runs stay on the version that they started with" in page.one("#restore").get_text(" ")
    assert "Version 1 is restored as version 3." in page.press("Save as version 3").follow_redirect().text
    web.rollback()
    assert web.get_one(Workflow, second).step_count == 2


def test_restoring_what_is_there_already_says_so(bob: Reader, second: int) -> None:
    bob.client.get(f"/workflows/{second}/versions")
    done = bob.client.post(f"/workflows/{second}/versions/2/restore")
    assert "nothing was saved" in done.follow_redirect().text


def test_a_version_that_no_longer_fits_is_refused_with_reasons(
    bob: Reader, second: int, web: Session, place: Place
) -> None:
    add_version(web, web.get_one(Workflow, second), http_step("third", place.webhook))
    web.delete(web.get_one(Connection, place.http))
    web.commit()
    bob.client.get(f"/workflows/{second}/versions")
    page = bob.client.post(f"/workflows/{second}/versions/1/restore", expect=422)
    assert "This application has no such connection." in page.text


def test_it_rejects_the_other_method(bob: Reader, second: int) -> None:
    bob.client.get(f"/workflows/{second}/versions/1/restore", expect=405)


def test_it_needs_permission(charlie: Reader, second: int) -> None:
    charlie.client.get(f"/workflows/{second}/versions", expect=403)
    charlie.client.get(f"/workflows/{second}/versions/1", expect=403)


@pytest.mark.parametrize("number", ["9", "0", "9223372036854775808", "x"])
def test_a_version_that_is_not_there_is_not_found(bob: Reader, second: int, number: str) -> None:
    bob.client.get(f"/workflows/{second}/versions/{number}", expect=404)
