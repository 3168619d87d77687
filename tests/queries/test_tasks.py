"""The inbox agrees with the rule of who may act, and is paged both ways."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from app.permissions import ALL_PERMISSIONS, Actor
from app.queries import task_rules
from app.queries.tasks import InboxFilters, inbox, waiting_for
from app.services import tasks
from tests.support.factories import NOW, human_step, make_group, make_user
from tests.support.services.tasks import waiting_task


def test_own_tasks_first_and_the_rule_agrees(session: Session, admin: Actor) -> None:
    ann, ben = make_user(session, "admin"), make_user(session, "admin")
    actor = Actor("user", "Ann", ALL_PERMISSIONS, user_id=ann.id)
    group = make_group(session, ann)
    for assignee in (
        {"user_id": str(ben.id)},
        {"group_id": str(group.id)},
        {"user_id": str(ann.id)},
        {"anyone": True},
    ):
        for barred in (False, True):
            waiting_task(
                session, actor, human_step(assignee=assignee, granter_may_act=not barred, due_hours=1)
            )
    rows = inbox(session, actor, InboxFilters(), now=NOW, limit=50)
    assert [one.mine for one in rows] == [True] * 3 + [False] * 5
    assert [one.mine for one in rows] == [
        task_rules.may_act(session, actor, one.task).allowed for one in rows
    ]
    assert waiting_for(session, actor) == 3
    late = inbox(session, actor, InboxFilters("overdue"), now=NOW + timedelta(hours=2), limit=50)
    assert len(late) == 8
    assert len(inbox(session, actor, InboxFilters("mine"), now=NOW, limit=50)) == 3
    assert [
        one.key for one in inbox(session, actor, InboxFilters(), now=NOW, limit=3, before=rows[1].key)
    ] == [one.key for one in rows[2:5]]
    back = inbox(session, actor, InboxFilters(), now=NOW, limit=3, after=rows[4].key)
    assert [one.key for one in back] == [one.key for one in reversed(rows[1:4])]
    tasks.submit(session, actor, rows[0].task, {"team": "Red"})
    assert len(inbox(session, actor, InboxFilters("done"), now=NOW, limit=50)) == 1
