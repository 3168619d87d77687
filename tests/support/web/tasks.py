"""Tasks as pages show them, and who may act on them."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import ManualTask, Role, User
from app.permissions import ALL_PERMISSIONS, Actor
from tests.support.web.readers import Reader

SYSTEM = Actor("system", "Test", ALL_PERMISSIONS, source="test")
Waiting = Callable[..., int]


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
