"""Parked connections over the API: how they and the runs that wait are told, and what may be done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.clock import now
from app.extensions import db
from app.permissions import ALL_PERMISSIONS, Actor
from tests.support.api.client import ApiClient
from tests.support.api.metrics import figures
from tests.support.services.outages import BROKEN, Outside

ROOT = Actor("system", "Test", ALL_PERMISSIONS)


@pytest.fixture
def outside(app: Flask) -> Iterator[Outside]:
    """An application with one connection in an outage, and four runs that wait."""
    with app.app_context():
        engine = db.engine
    with Session(engine) as session:
        outside = Outside(session, ROOT, now=now())
        outside.answer = BROKEN
        outside.grant(4)
        outside.work()
        session.commit()
        yield outside


def test_a_parked_connection_says_so_alone_and_in_the_list(api: ApiClient, outside: Outside) -> None:
    told = api.get(f"/connections/{outside.connection.id}")["parked"]
    assert {name: told[name] for name in ("state", "label", "until", "waiting_runs")} == {
        "state": "parked",
        "label": "Parked",
        "until": None,
        "waiting_runs": 4,
    }
    assert told["next_probe_at"] > told["since"]
    assert "HTTP 503" in told["why"]
    [listed] = api.get(f"/applications/{outside.application.id}/connections")["items"]
    assert listed["parked"] == told


def test_a_run_that_waits_keeps_its_status_under_another_label(api: ApiClient, outside: Outside) -> None:
    run = api.get(f"/runs/{outside.runs()[0].id}")
    assert (run["status"], run["label"]) == ("running", "Waiting (connection)")
    assert run["waits_for_connection"]["connection_id"] == str(outside.connection.id)
    assert run["waits_for_connection"]["since"]
    assert [one["message"][:6] for one in run["timeline"] if one["kind"] == "event"] == ["Waits:"]


def test_it_is_let_go_on_once(api: ApiClient, outside: Outside) -> None:
    path = f"/connections/{outside.connection.id}/unpark"
    assert api.post(path, {}, status=200)["parked"]["state"] == "trial"
    assert "is not parked" in api.post(path, {}, status=409)["detail"]


def test_it_is_parked_until_a_time_for_a_reason(api: ApiClient, outside: Outside) -> None:
    path = f"/connections/{outside.connection.id}/park"
    until = (now() + timedelta(hours=1)).isoformat()
    told = api.post(path, {"until": until, "reason": "New database"}, status=200)["parked"]
    assert (told["state"], told["label"]) == ("held", "Parked by hand")
    assert told["why"].endswith(": New database")
    fields = {one["field"] for one in api.post(path, {"until": "soon"}, status=422)["errors"]}
    assert fields == {"until", "reason"}


def test_it_takes_the_permission_to_run(token_for: Callable[..., ApiClient], outside: Outside) -> None:
    reader = token_for("workflow:read", "workflow:manage")
    for verb in ("park", "unpark"):
        refused = reader.post(f"/connections/{outside.connection.id}/{verb}", {}, status=403)
        assert refused["code"] == "forbidden"


def test_its_settings_are_part_of_the_configuration(api: ApiClient, outside: Outside) -> None:
    path = f"/connections/{outside.connection.id}"
    given = {"park_after_failures": 0, "park_window_seconds": 60}
    config = api.patch(path, {"config": given})["config"]
    assert given.items() <= config.items()
    refused = api.patch(path, {"config": {"park_after_failures": 1001}}, status=422)
    assert [one["field"] for one in refused["errors"]] == ["config.park_after_failures"]


def test_prometheus_counts_them(app: Flask, outside: Outside) -> None:
    found = figures(app)
    assert found["connections_parked", "parked"] == 1
    assert found["connections_parked", "refused"] == 0
    assert found["runs_waiting_for_connections", ""] == 4
