"""What Home asks again and again, and each page of a long list, is answered by indexes, whatever the history."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import now
from app.extensions import db
from app.models import Run
from app.queries.audit import AuditFilters, audit_list
from app.queries.failures import failure_groups
from app.queries.grants import GrantFilters, grant_list
from app.queries.left_behind import left_behind
from app.queries.run_filters import RunFilters
from app.queries.runs import neighbours, run_list
from app.queries.system import succeeded_lately, system_facts
from app.queries.tasks import InboxFilters, TaskFilters, inbox, task_list
from tests.support.queries.query_plans import rows_sorted, whole_tables_read
from tests.support.queries.stories import ALICE, Story, ok, refused, two_steps, with_person

READS: dict[str, Callable[[Session], object]] = {
    "failures by cause": failure_groups,
    "access that should be gone": lambda session: left_behind(session, now=now(), limit=10),
    "my tasks": lambda session: inbox(session, ALICE, InboxFilters(view="mine"), now=now(), limit=6),
    "the console itself": lambda session: system_facts(session, now=now()),
    "what went well": lambda session: succeeded_lately(session, now=now()),
    "runs that need attention": lambda session: run_list(session, RunFilters(open_failures=True), limit=51),
    "the neighbours of a run": lambda session: neighbours(session, RunFilters(open_failures=True), 2),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_no_large_table_is_read_whole(session: Session, read: Callable[[Session], object]) -> None:
    Story(session).answer(ok(200), refused(401))
    Story(session, with_person).take()
    Story(session, two_steps, trigger="access_revoked").answer(refused(403))
    assert whole_tables_read(db.engine, lambda: read(session)) == []


def test_a_walk_through_a_whole_table_is_noticed(session: Session) -> None:
    Story(session)
    query = select(Run.cause)
    assert whole_tables_read(db.engine, lambda: session.execute(query).all()) != []


LISTS: dict[str, Callable[[Session], object]] = {
    "grants": lambda session: grant_list(session, GrantFilters(), limit=50),
    "grants of an application": lambda session: grant_list(session, GrantFilters(application_id=1), limit=50),
    "runs": lambda session: run_list(session, RunFilters(), limit=50),
    "tasks": lambda session: task_list(session, TaskFilters(), limit=50),
    "audit": lambda session: audit_list(session, AuditFilters(), limit=50),
}


@pytest.mark.sqlite_only
@pytest.mark.parametrize("read", LISTS.values(), ids=LISTS.keys())
def test_a_page_of_a_long_list_is_read_in_its_order(
    session: Session, read: Callable[[Session], object]
) -> None:
    Story(session).answer(ok(200), refused(401))
    assert rows_sorted(db.engine, lambda: read(session)) == []
