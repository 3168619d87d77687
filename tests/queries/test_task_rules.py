"""Whose a task is: the rule of one task and the rule as conditions say the same."""

from __future__ import annotations

from itertools import product

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.models import ManualTask
from app.queries.task_rules import groups_of, is_for, ways_of_being_asked
from tests.support.factories import make_group, make_user
from tests.support.queries.stories import Story, with_person


def test_a_task_is_asked_of_the_same_people_in_python_and_in_the_database(session: Session) -> None:
    """Every way of being asked, for every kind of reader; that of nobody in particular among them."""
    me, other = make_user(session), make_user(session)
    mine, theirs = make_group(session, me), make_group(session, other)
    tasks = []
    for user, group in product((None, me.id, other.id), (None, mine.id, theirs.id)):
        task = Story(session, with_person).take().task()
        task.assignee_user_id, task.assignee_group_id = user, group
        tasks.append(task)
    session.commit()
    for reader in (me.id, other.id, make_user(session).id, None):
        groups = groups_of(session, reader)
        of_one = [task.id for task in tasks if is_for(task, reader, groups)]
        ways = ways_of_being_asked(reader)
        of_all = session.scalars(select(ManualTask.id).where(or_(*ways)).order_by(ManualTask.id)).all()
        one_by_one = [number for way in ways for number in session.scalars(select(ManualTask.id).where(way))]
        assert of_one == of_all == sorted(one_by_one), "a task is counted once, whichever way it is asked"
        not_asked = session.scalars(select(ManualTask.id).where(~or_(*ways)))
        assert set(not_asked) == {task.id for task in tasks} - set(of_one), "no condition is ever null"
