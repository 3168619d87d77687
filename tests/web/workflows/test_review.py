"""Workflows from before steps could say which account they mean: listed, mended or left as they are."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.models import Workflow
from tests.support.factories import add_version, http_step
from tests.support.web.places import Place
from tests.support.web.readers import Reader


@pytest.fixture
def marked(workflow: int, place: Place, web: Session) -> int:
    """A workflow whose two steps keep one name, and which takes the first of a list."""
    users = http_step("users", place.http, name="Make the user", capture={"id": "$.id"})
    body = {"text": "For {{ grantee.username }}", "name": "{{ grantee.username }}"}
    mail = http_step("mail", place.http, name="Make the mailbox", capture={"id": "$.all[0].id"}, body=body)
    add_version(web, web.get_one(Workflow, workflow), users, mail)
    web.get_one(Workflow, workflow).to_review = True
    web.commit()
    return workflow


def test_each_doubt_is_said_with_its_step(bob: Reader, marked: int) -> None:
    page = bob.client.get("/applications")
    assert "1 workflow from an earlier version" in page.text
    page = bob.client.get("/workflows/review")
    doubts = page.texts("main li")
    assert len(doubts) == 3
    assert all(one.startswith("Make the mailbox: ") for one in doubts)
    for words in ("whose account.id is", "takes one entry of a list", "Where grantee.username is empty"):
        assert any(words in one for one in doubts)


def test_one_that_is_right_as_it_is_leaves_the_list(bob: Reader, marked: int, web: Session) -> None:
    page = bob.client.get("/workflows/review").press("It is right as it is: Provision Jira").follow_redirect()
    assert "“Provision Jira” is off the list." in page.text
    assert "Nothing to look at" in page.text
    web.expire_all()
    assert not web.get_one(Workflow, marked).to_review
    assert "from an earlier version" not in bob.client.get("/applications").text


def test_the_workflow_itself_says_that_it_is_on_the_list(bob: Reader, marked: int, place: Place) -> None:
    page = bob.client.get(f"/applications/{place.application}/workflows")
    assert "may fail where they guess" in page.text


def test_the_list_needs_the_right_to_manage_workflows(charlie: Reader, marked: int) -> None:
    charlie.client.get("/workflows/review", expect=403)
    charlie.client.post(f"/workflows/{marked}/reviewed", expect=403)
