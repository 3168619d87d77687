"""The example alerts speak of figures that exist."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import yaml
from flask import Flask

from app.clock import now
from app.extensions import db
from app.models import Duty

FILE = Path(__file__).resolve().parents[1] / "docs" / "alerts.example.yml"
FIGURE = re.compile(r"access_automation_\w+")


def test_every_figure_of_the_example_alerts_is_one_of_ours(only_sqlite: Flask) -> None:
    with only_sqlite.app_context():
        at = now() - timedelta(seconds=1)
        db.session.add(Duty(name="sweep", holder="host-1", until=at, done_at=at))
        db.session.commit()
    rules = yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"][0]["rules"]
    wanted = {name for rule in rules for name in FIGURE.findall(rule["expr"])}
    given = set(FIGURE.findall(only_sqlite.test_client().get("/metrics").get_data(as_text=True)))
    assert wanted
    assert wanted <= given
    assert all(rule["annotations"]["action"] for rule in rules)
