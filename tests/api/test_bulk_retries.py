"""Bulk retries over the API: started, looked at, stopped, and refused field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.domain.states import FailureClass
from app.extensions import db
from tests.support.api.client import ApiClient
from tests.support.failed_runs import Outage
from tests.support.queries.stories import failed, ok, refused

WORDS = {"name": "After the outage", "reason": "The credential was replaced"}
JOB = {
    "id",
    "name",
    "reason",
    "scope",
    "status",
    "label",
    "total",
    "left_out",
    "counts",
    "ended_because",
    "created_at",
    "created_by",
    "stopped_by",
    "finished_at",
    "items",
    "parked",
}


@pytest.fixture
def outage(app: Flask) -> Iterator[Outage]:
    with app.app_context():
        engine = db.engine
    with Session(engine) as session:
        yield Outage(session, 3)


def start(api: ApiClient, **chosen: Any) -> Any:
    return api.post("/bulk-retries", WORDS | chosen)


def drive(outage: Outage, number: str, outcome: Any) -> None:
    from app.models import BulkRetry

    outage.session.rollback()
    outage.until_over(outage.session.get_one(BulkRetry, int(number)), outcome)


def test_a_filter_starts_a_job_whose_runs_are_told_one_by_one(api: ApiClient, outage: Outage) -> None:
    filters = {"application_id": str(outage.application.id), "class": "http_4xx", "failure_status": 401}
    made = start(api, filter=filters)
    assert set(made) == JOB
    assert (made["status"], made["total"], made["counts"]["waiting"]) == ("probing", 3, 3)
    assert made["scope"] == f"application_id: {outage.application.id}, class: http_4xx, failure_status: 401"
    drive(outage, made["id"], ok())
    done = api.get(f"/bulk-retries/{made['id']}")
    assert (done["status"], done["label"], done["counts"]["succeeded"]) == ("finished", "Finished", 3)
    first = done["items"][0]
    assert (first["run_id"], first["probe"], first["cause"]) == (
        str(outage.ids[0]),
        True,
        "HTTP 401 Unauthorized",
    )


def test_a_probe_that_fails_says_so_and_of_the_others_that_they_were_left_alone(
    api: ApiClient, outage: Outage
) -> None:
    made = start(api, run_ids=outage.ids)
    assert made["scope"] == "3 chosen one by one"
    drive(outage, made["id"], refused())
    done = api.get(f"/bulk-retries/{made['id']}")
    assert done["ended_because"] == "HTTP 401 Unauthorized again: nothing else was touched."
    again = f"Run {outage.ids[0]}, which had failed alike, failed again."
    assert [(one["status"], one["skip_reason"], one["note"]) for one in done["items"]] == [
        ("failed_again", None, None),
        *[("skipped", "probe_failed", f"The probe failed. {again}")] * 2,
    ]
    [listed] = api.get("/bulk-retries")["items"]
    assert (listed["id"], listed["items"]) == (made["id"], None)


def test_what_the_runs_of_a_job_wait_for_is_told_and_can_be_let_go_on(api: ApiClient, outage: Outage) -> None:
    down = failed(FailureClass.HTTP_5XX, http_status=503)
    other = Outage(outage.session, 5, down, parks_after=3)
    parked = {"connection_id": str(other.connection.id), "name": other.connection.name, "may_go_on": True}
    waits = start(api, filter={"application_id": str(other.application.id)})
    assert waits["parked"] == [parked]
    api.post(f"/bulk-retries/{waits['id']}/stop", {}, status=200)
    goes_on = start(api, filter={"application_id": str(other.application.id)}, unpark=True)
    assert goes_on["parked"] == []
    assert api.get(f"/connections/{other.connection.id}")["parked"]["state"] == "trial"


def test_the_same_key_makes_one_job(api: ApiClient, outage: Outage) -> None:
    sent = {"Idempotency-Key": "click"}
    first = api.post("/bulk-retries", WORDS | {"run_ids": outage.ids}, headers=sent)
    assert api.post("/bulk-retries", WORDS | {"run_ids": outage.ids}, headers=sent) == first
    assert len(api.get("/bulk-retries")["items"]) == 1


def test_a_job_is_stopped_once(api: ApiClient, outage: Outage) -> None:
    made = start(api, run_ids=outage.ids)
    path = f"/bulk-retries/{made['id']}/stop"
    stopped = api.post(path, status=200)
    assert (stopped["status"], stopped["counts"]["skipped"]) == ("stopped", 3)
    assert "has stopped bulk retry" in api.post(path, status=409)["detail"]
    api.post("/bulk-retries/999/stop", status=404)
    api.get("/bulk-retries/999", status=404)


@pytest.mark.parametrize(
    ("chosen", "field", "says"),
    [
        ({}, "run_ids", "either run_ids or filter"),
        ({"run_ids": ["1"], "filter": {"class": "http_4xx"}}, "run_ids", "either run_ids or filter"),
        ({"run_ids": []}, "run_ids", "Choose at least one"),
        ({"filter": {}}, "filter", "an empty one would retry every failed run"),
        ({"filter": {"failure_step": ""}}, "filter", "an empty one would retry every failed run"),
        ({"filter": {"class": "http_5xx"}}, "runs", "nothing to retry"),
        ({"filter": {"clas": "http_4xx"}}, "filter.clas", "There is no field"),
        ({"run_ids": [str(n) for n in range(1, 502)]}, "run_ids", "at most 500"),
        ({"run_ids": ["abc"]}, "run_ids[0]", "no id"),
        ({"run_ids": ["1"], "reason": ""}, "reason", "Enter a reason."),
        ({"run_ids": ["1"], "name": "x" * 201}, "name", "200 characters"),
    ],
)
def test_what_cannot_be_started_is_refused_by_field(
    api: ApiClient, outage: Outage, chosen: dict[str, Any], field: str, says: str
) -> None:
    problem = api.post("/bulk-retries", WORDS | chosen, status=422)
    [error] = [one for one in problem["errors"] if one["field"] == field]
    assert says.lower() in error["message"].lower()
    assert api.get("/bulk-retries")["items"] == []
