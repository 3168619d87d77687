"""Tasks to act on, and the people around them: Alice administers, Bob does tasks, Charlie may see nothing."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.permissions import Actor
from tests.support.services.tasks import escalated_task, waiting_task
from tests.support.web.readers import Reader, person, sign_in
from tests.support.web.tasks import SYSTEM, Waiting, may_only


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
