"""Workflows as files in the browser: exported, shown, confirmed, imported."""

from __future__ import annotations

import io

import pytest
from sqlalchemy.orm import Session

from app.models import Application, Workflow
from tests.support.factories import NOW, add_version, http_step, make_application, make_connection
from tests.support.page import Page
from tests.support.web.places import Place
from tests.support.web.readers import Reader


@pytest.fixture
def text(bob: Reader, workflow: int) -> str:
    """The workflow as it is exported from its versions."""
    page = bob.client.get(f"/workflows/{workflow}/versions").follow("Export as YAML")
    assert page.headers["Content-Type"].startswith("application/yaml")
    assert page.headers["Content-Disposition"] == 'attachment; filename="jira-access-granted.yaml"'
    return page.html


def shown(reader: Reader, place: Place, text: str, *, expect: int = 200) -> Page:
    """The page after pressing the first button with this text pasted."""
    page = reader.client.get(f"/applications/{place.application}/workflows").follow("Import a workflow")
    return page.form("import").fill(text=text).submit(expect=expect)


def newest(web: Session, workflow: int) -> Workflow:
    web.rollback()
    return web.get_one(Workflow, workflow)


def test_what_was_exported_changes_nothing(bob: Reader, workflow: int, place: Place, text: str) -> None:
    page = shown(bob, place, text)
    assert "Nothing would change in Provision Jira" in page.text
    assert not page.select('button[name="save"]')


def test_the_difference_stands_before_the_save(
    bob: Reader, workflow: int, place: Place, text: str, web: Session
) -> None:
    page = shown(bob, place, text.replace("path: /Users", "path: /People"))
    assert page.texts("#diff-create dd") == ["− was /Users + is /People"]
    assert newest(web, workflow).version_number == 1
    done = page.press("Import as version 2").follow_redirect()
    assert "Imported as version 2." in done.text
    assert newest(web, workflow).version_number == 2


def test_settings_alone_are_imported_too(
    bob: Reader, workflow: int, place: Place, text: str, web: Session
) -> None:
    page = shown(bob, place, text.replace("name: Provision Jira", "name: Provide"))
    assert "− was Provision Jira + is Provide" in page.text
    page.press("Import")
    assert (newest(web, workflow).name, newest(web, workflow).version_number) == ("Provide", 1)


def test_a_chosen_file_replaces_the_text(bob: Reader, workflow: int, place: Place, text: str) -> None:
    bob.client.get("/account")
    path = f"/applications/{place.application}/workflows/import"
    data = {"text": "old", "file": (io.BytesIO(text.replace("/Users", "/People").encode()), "x.yaml")}
    page = bob.client.post(path, data, expect=200)
    assert page.texts("#diff-create dd") == ["− was /Users + is /People"]
    assert "path: /People" in page.form("import")["text"]


def test_errors_name_the_line_and_the_text_stays(bob: Reader, place: Place, text: str) -> None:
    wrong = text.replace("connection: Jira API", "connection: Jra API")
    page = shown(bob, place, wrong, expect=422)
    line = wrong.splitlines().index("  connection: Jra API") + 1
    assert f"Line {line}: steps[0].connection: There is no connection “Jra API”" in page.one("#errors").text
    assert "Did you mean “Jira API”?" in page.text
    assert page.form("import")["text"].split() == wrong.split()
    assert page.title.startswith("Error:")


def test_another_application_gets_a_disabled_workflow(
    bob: Reader, place: Place, text: str, web: Session
) -> None:
    other = make_application(web, name="Jira staging")
    make_connection(web, other, name="Jira API")
    web.commit()
    page = bob.client.get(f"/applications/{other.id}/workflows").follow("Import")
    page = page.form("import").fill(text=text).submit(expect=200)
    assert "A workflow for Access granted would be added: Provision Jira" in page.text
    assert "The file was exported from Jira." in page.text
    page.press("Import").follow_redirect()
    tab = bob.client.get(f"/applications/{other.id}/workflows")
    assert "Disabled" in tab.text


def test_a_version_saved_in_between_is_not_overwritten(
    bob: Reader, workflow: int, place: Place, text: str, web: Session
) -> None:
    page = shown(bob, place, text.replace("/Users", "/People"))
    add_version(web, web.get_one(Workflow, workflow), http_step("theirs", place.http))
    web.commit()
    told = page.press("Import as version 2", expect=409)
    assert "has changed since it was shown" in told.text
    assert "“Theirs” was removed." in told.text
    told.press("Import as version 3")
    assert newest(web, workflow).version_number == 3


def test_an_older_version_is_exported_from_its_page(
    bob: Reader, workflow: int, web: Session, place: Place
) -> None:
    add_version(web, web.get_one(Workflow, workflow), http_step("later", place.http))
    web.commit()
    page = bob.client.get(f"/workflows/{workflow}/versions/1").follow("Export as YAML")
    assert "key: create" in page.html
    for wrong in ("9", "0", "x", "99999999999999999999"):
        bob.client.get(f"/workflows/{workflow}/export.yaml?version={wrong}", expect=404)


def test_an_archived_application_takes_nothing(bob: Reader, place: Place, text: str, web: Session) -> None:
    web.get_one(Application, place.application).archived_at = NOW
    web.commit()
    bob.client.get("/account")
    path = f"/applications/{place.application}/workflows/import"
    assert "Jira is archived" in bob.client.post(path, {"text": text}, expect=422).text


@pytest.mark.parametrize("sent", ["", "a: [", "\0", "x" * 10_000, "- 1", "{" * 5000])
def test_odd_text_is_refused_in_words(bob: Reader, place: Place, sent: str) -> None:
    bob.client.get("/account")
    path = f"/applications/{place.application}/workflows/import"
    assert bob.client.post(path, {"text": sent}, expect=422).select("#errors li")


def test_export_reads_and_import_manages(charlie: Reader, bob: Reader, workflow: int, place: Place) -> None:
    charlie.client.get(f"/workflows/{workflow}/export.yaml", expect=403)
    charlie.client.get(f"/applications/{place.application}/workflows/import", expect=403)
    bob.client.get("/account")
    bob.client.post(f"/workflows/{workflow}/export.yaml", expect=405)
