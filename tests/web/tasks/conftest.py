"""Tasks to act on, and the people around them: Alice administers, Bob does tasks, Charlie may see nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import ManualTask, Role, User
from app.permissions import ALL_PERMISSIONS, Actor
from tests.services.test_tasks import escalated_task, waiting_task
from tests.web.conftest import Reader, person, sign_in

SYSTEM = Actor("system", "Test", ALL_PERMISSIONS, source="test")
Waiting = Callable[..., int]


@pytest.fixture
def waiting(web: Session) -> Waiting:
    """Starts a run that waits at its first step, and gives the task's number: `waiting(*steps)`."""

    def start(*steps: dict[str, Any], granter: Actor = SYSTEM) -> int:
        task = waiting_task(web, granter, *steps)
        number = task.id
        web.commit()
        return number

    return start


@pytest.fixture
def escalated(web: Session) -> int:
    """A failed call that was handed to a person: HTTP 403, first of one attempt."""
    number = escalated_task(web, SYSTEM).id
    web.commit()
    return number


@pytest.fixture
def doer(only_sqlite: Flask, web: Session) -> Reader:
    """Bob, who does tasks and sees nothing else."""
    may_only(web, "workflow:task")
    return sign_in(only_sqlite, person(only_sqlite, web, "bob", "member"))


def may_only(web: Session, *permissions: str) -> None:
    """What members may."""
    web.scalars(select(Role).where(Role.kind == "member")).one().permissions = list(permissions)
    web.commit()


def task_of(web: Session, number: int) -> ManualTask:
    """The task as it is now."""
    web.expire_all()
    web.rollback()
    return web.get_one(ManualTask, number)


def as_actor(web: Session, reader: Reader) -> Actor:
    """The reader as services know them."""
    user = web.get_one(User, reader.id)
    return Actor("user", user.name, ALL_PERMISSIONS, user_id=user.id)
