"""How a page that watches a record asks: one read by key, a pace by state and age, a version for every change."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from app.clock import now
from app.errors import NotFound
from app.extensions import db
from app.models import BulkRetry, Run
from app.web.polling import Poll, digest, watched, watched_as
from app.web.runs.run_page import run_poll
from tests.support.queries.statements import statements
from tests.support.queries.stories import Story, refused, with_person


def poll(session: Session, story: Story) -> Poll:
    return run_poll(watched(session, Run, story.run.id), now())


def test_a_poll_is_one_read_by_key(session: Session) -> None:
    story = Story(session)
    with statements(db.engine) as sent:
        found = poll(session, story)
    assert len(sent) == 1
    assert found == run_poll(watched_as(story.run), now())


@pytest.mark.parametrize(("model", "noun"), [(Run, "run"), (BulkRetry, "bulk retry")])
def test_what_is_not_there_cannot_be_watched(session: Session, model: type, noun: str) -> None:
    with pytest.raises(NotFound, match=f"no {noun} 12345,"):
        watched(session, model, 12345)


@pytest.mark.parametrize(
    ("tell", "age", "seconds"),
    [
        (lambda s: Story(s).take(), 1, 2),
        (lambda s: Story(s).take(), 31, 5),
        (lambda s: Story(s).take(), 301, 15),
        (Story, 20, 2),
        (Story, 59, 5),
        (Story, 61, 10),
        (Story, 900, 10),
        (lambda s: Story(s, with_person).take(), 1, 0),
        (lambda s: Story(s).answer(refused()), 1, 0),
    ],
)
def test_the_pace_follows_from_state_and_age(session: Session, tell, age: int, seconds: int) -> None:
    at = now()
    story = tell(session).moved(at - timedelta(seconds=age))
    found = run_poll(watched_as(story.run), at)
    assert found.seconds == seconds
    assert found.version.startswith(f"{story.run.revision}.{seconds}")


def test_every_visible_change_changes_the_version(session: Session) -> None:
    story = Story(session)
    seen = [poll(session, story).version]
    for act in (story.take, lambda: story.answer(refused()), story.retry, story.take, story.cancel):
        act()
        seen.append(poll(session, story).version)
    assert len(set(seen)) == len(seen)


def test_pages_do_not_ask_in_step_unless_there_is_one_of_the_kind() -> None:
    spread = {float(Poll("1", 10, key).every) for key in range(31)}
    assert len(spread) == 31
    assert min(spread) >= 8.5
    assert max(spread) <= 11.5
    assert Poll("1", 10).every == "10"
    assert Poll("1", 0, 7).every == ""


def test_a_version_of_what_is_shown_changes_with_any_of_it() -> None:
    assert digest("a", [1]) == digest("a", [1])
    assert len({digest("a", [1]), digest("a", [2]), digest("b", [1])}) == 3
