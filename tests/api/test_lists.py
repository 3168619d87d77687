"""Lists: pages that neither skip nor repeat, cursors that nobody can edit, and few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import event

from app.extensions import db
from tests.support.api.client import ApiClient, World

LISTS = [
    "/users",
    "/groups",
    "/applications",
    "/applications/{application_id}/connections",
    "/applications/{application_id}/workflows",
    "/workflows/{workflow_id}/versions",
    "/grants",
    "/runs",
    "/tasks",
    "/audit",
]


@contextmanager
def statements(app: Flask) -> Iterator[list[str]]:
    """The SQL that is sent meanwhile."""
    seen: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("path", LISTS)
def test_every_list_has_items_and_the_cursor_of_what_follows(api: ApiClient, world: World, path: str) -> None:
    page = api.get(world.fill(path))
    assert set(page) == {"items", "next"}
    assert page["next"] is None


def test_pages_hold_everything_once_in_order(
    api: ApiClient, world: World, more_grants: Callable[[int], None]
) -> None:
    more_grants(6)
    seen, after = [], ""
    for _ in range(4):
        page = api.get(f"/grants?limit=2{after}")
        seen += [int(one["id"]) for one in page["items"]]
        # Newer ones come meanwhile, and move nothing.
        more_grants(1)
        after = f"&after={page['next']}"
    assert page["next"] is None
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 7


def test_a_limit_that_fits_exactly_leaves_nothing_to_follow(api: ApiClient, world: World) -> None:
    assert api.get("/grants?limit=1")["next"] is None


def test_an_edited_cursor_and_one_of_another_list_are_refused(
    api: ApiClient, world: World, more_grants: Callable[[int], None]
) -> None:
    more_grants(2)
    cursor = api.get("/grants?limit=1")["next"]
    api.get(f"/grants?after={cursor}")
    api.get(f"/runs?after={cursor}", status=400)
    for place in range(len(cursor)):
        other = "A" if cursor[place] != "A" else "B"
        api.get(f"/grants?after={cursor[:place]}{other}{cursor[place + 1 :]}", status=400)
    api.get(f"/grants?after={cursor[:-1]}", status=400)
    api.get(f"/grants?after={cursor}A", status=400)


@pytest.mark.parametrize("path", ["/grants", "/runs", "/users", "/audit", "/groups", "/tasks"])
def test_a_longer_list_takes_no_more_statements(
    api: ApiClient, world: World, more_grants: Callable[[int], None], path: str
) -> None:
    more_grants(4)
    api.get(path)  # the token's use is noted now, and not below
    with statements(api.app) as few:
        shorter = len(api.get(path)["items"])
    more_grants(45)
    with statements(api.app) as many:
        longer = len(api.get(f"{path}?limit=200")["items"])
    assert longer > shorter or path in ("/groups", "/tasks")
    assert [one.split()[0] for one in few] == [one.split()[0] for one in many]
    assert len(many) <= 6


def test_a_single_grant_and_run_take_few_statements(api: ApiClient, world: World) -> None:
    for path in (f"/grants/{world.grant}", f"/runs/{world.run}"):
        api.get(path)
        with statements(api.app) as sent:
            api.get(path)
        assert len(sent) <= 12
