"""A stored version that cannot be read: every page that shows it says so in the same words, and none breaks."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session

from tests.support.factories import damage_versions
from tests.support.queries.stories import Story, refused, with_person
from tests.support.web.readers import Reader

SENTENCE = "Version 1 cannot be read ("
TODO = "Restore another version, or save the steps anew."

SHOWING = [
    ("/runs/{failed}", 200),
    ("/runs/{waiting}", 200),
    ("/runs/{failed}/replay", 200),
    ("/tasks/{task}", 200),
    ("/tasks/{task}/skip", 200),
    ("/applications/{application}/workflows", 200),
    ("/workflows/{workflow}/edit", 200),
    ("/workflows/{workflow}/versions/1", 200),
    ("/workflows/{workflow}/compare?from=1&to=1", 200),
    ("/workflows/{workflow}/dry-run", 409),
    ("/workflows/{workflow}/backtest", 409),
    ("/workflows/{workflow}/export.yaml", 409),
]
BESIDE_IT = [
    "/",
    "/runs",
    "/tasks",
    "/system",
    "/applications/{application}",
    "/grants/{grant}",
    "/connections/{connection}",
    "/workflows/{workflow}/versions",
    "/workflows/{workflow}/settings",
    "/workflows/{workflow}/delete",
    "/workflows/{workflow}/start-runs",
    "/runs/{failed}/retry",
    "/runs/{failed}/overrides",
    "/runs/{failed}/done",
    "/runs/{waiting}/cancel",
]
DAMAGES = [[{"key": "lookup", "name": "Look up"}], {"lookup": True}, ["lookup", 7], [{"type": "telegram"}]]


@pytest.fixture
def addresses(web: Session) -> dict[str, int]:
    """A failed run, and one that waits for a person, of versions that are damaged by the time they are looked at."""
    failed = Story(web).answer(refused())
    waiting = Story(web, with_person).take()
    return {
        "failed": failed.run.id,
        "grant": failed.grant.id,
        "application": failed.application.id,
        "workflow": failed.workflow.id,
        "connection": failed.connection.id,
        "waiting": waiting.run.id,
        "task": waiting.task().id,
    }


@pytest.mark.parametrize("steps", DAMAGES)
def test_every_page_that_shows_a_damaged_version_says_so(
    alice: Reader, web: Session, addresses: dict[str, int], steps: Any
) -> None:
    damage_versions(web, steps)
    for path, status in SHOWING:
        page = alice.client.get(path.format(**addresses), expect=status)
        assert SENTENCE in page.text and TODO in page.text, path
    for path in BESIDE_IT:
        answer = alice.client.flask.get(path.format(**addresses))
        assert answer.status_code < 500, path


def test_a_damaged_version_is_mended_by_saving_its_steps_anew(
    alice: Reader, web: Session, addresses: dict[str, int]
) -> None:
    damage_versions(web, [{"key": "lookup", "name": "Look up"}])
    editor = alice.client.get(f"/workflows/{addresses['workflow']}/edit")
    assert "Look up" in editor.text, "what is left of the steps is there to go on with"
