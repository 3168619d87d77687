"""Bulk retries: what starts one, and what is told of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.domain.states import FailureClass, Trigger
from app.models.bulk_retry import MAX_RUNS
from app.schemas.answers import OutId, Output, OutTime
from app.schemas.base import Input
from app.schemas.kinds import Flag, Id, NameText, Number, ReasonText, RecordId, ShortText, Time

_Id = Annotated[int | None, RecordId()]


class BulkRetryWords(Input):
    """What a person says of a bulk retry."""

    name: NameText
    reason: ReasonText


class FailedRunsIn(Input):
    """Which failed runs are meant; at least one of these narrows them. `since` bounds their creation."""

    application_id: _Id = None
    workflow_id: _Id = None
    user_id: _Id = None
    grant_id: _Id = None
    connection_id: _Id = None
    trigger: Trigger | None = None
    failure_class: FailureClass | None = Field(default=None, alias="class")
    failure_status: Annotated[int | None, Number(100, 599)] = None
    failure_step: ShortText = ""
    since: Time = None


class BulkRetryIn(BulkRetryWords):
    """Retry many failed runs: either those of `run_ids`, or the oldest 500 that `filter` leaves.

    With `unpark` the parked connections that they failed at go on, as by POST /connections/{id}/unpark; one that has
    refused its credential stays parked.
    """

    run_ids: list[Id] | None = Field(default=None, max_length=MAX_RUNS)
    filter: FailedRunsIn | None = None
    unpark: Flag = False


class BulkRetryItemOut(Output):
    """One run of a bulk retry. `skip_reason` and `note` say why it was left alone, or what became of it."""

    run_id: OutId
    position: int
    probe: bool
    status: str
    label: str
    cause: str
    failure: str | None
    skip_reason: str | None
    note: str | None
    started_at: OutTime | None
    finished_at: OutTime | None


class ParkedConnectionOut(Output):
    """A connection that runs of the job wait for. `may_go_on`: it can be unparked."""

    connection_id: OutId
    name: str
    may_go_on: bool


class BulkRetryOut(Output):
    """`counts` has how many runs have come to what; `items` and `parked` are given for a single job alone."""

    id: OutId
    name: str
    reason: str
    scope: str
    status: str
    label: str
    total: int
    left_out: bool
    counts: dict[str, int]
    ended_because: str | None
    created_at: OutTime
    created_by: str
    stopped_by: str | None
    finished_at: OutTime | None
    items: list[BulkRetryItemOut] | None = None
    parked: list[ParkedConnectionOut] | None = None
