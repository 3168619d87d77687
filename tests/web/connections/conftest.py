"""Bob builds connections and may not touch credentials; Alice may."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.support.web.places import workflow_builder
from tests.support.web.readers import Reader


@pytest.fixture
def bob(only_sqlite: Flask, web: Session) -> Reader:
    """A member who builds connections."""
    return workflow_builder(only_sqlite, web)
