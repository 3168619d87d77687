"""What would happen, before it does: the plan of a way back, and the dry-run, in the shapes of API.md."""

from __future__ import annotations

from typing import Literal

from app.schemas.answers import Output


class PlannedStepOut(Output):
    key: str
    name: str
    will: str


class ChangeOut(Output):
    """One difference between two versions; `message` is all of it in words."""

    kind: str
    step: str
    field: str | None
    old: str | None
    new: str | None
    message: str


class PlanOut(Output):
    """What a way back from a failed run would do. `diff` is what the newest version has that the run's has not.

    `token` may be sent with the act, which is then refused when things have changed meanwhile.  `advised` is the way
    back that fits what was mended since the failure: `retry`, `replay`, or null while the same would happen again.
    """

    allowed: bool
    reason: str | None
    note: str | None
    advised: str | None
    steps: list[PlannedStepOut]
    diff: list[ChangeOut]
    token: str


class DryRequestOut(Output):
    """A request as it would be sent; what is not known yet stands as `‹steps.create.id›` or `‹credential›`."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None


class DryStepOut(Output):
    """A step on the way. `request` is None where none would be sent; a person is asked by `prompt`."""

    key: str
    name: str
    type: str
    outcome: Literal["succeeded", "failed"]
    edge: str
    compensation: bool
    request: DryRequestOut | None
    prompt: str | None
    warnings: list[str]


class DryRunOut(Output):
    steps: list[DryStepOut]
    end: str
    warnings: list[str]
