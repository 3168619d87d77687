"""What the tests of workflow and connection pages work on, and who builds it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Role
from tests.support.web.readers import Reader, person, sign_in


@dataclass
class Place:
    """Ids of what the tests work on."""

    application: int
    http: int
    webhook: int


def workflow_builder(app: Flask, session: Session) -> Reader:
    """Bob, a member who builds workflows and may not touch credentials."""
    member = session.scalars(select(Role).where(Role.kind == "member")).one()
    member.permissions = ["grant:read", "workflow:read", "workflow:manage"]
    return sign_in(app, person(app, session, "bob", "member"))
