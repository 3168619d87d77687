"""Bob builds workflows and may not touch credentials."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.support.web.places import workflow_builder
from tests.support.web.readers import Reader


@pytest.fixture
def bob(only_sqlite: Flask, web: Session) -> Reader:
    """A member who builds workflows."""
    return workflow_builder(only_sqlite, web)
