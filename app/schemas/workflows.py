"""Workflows, their versions, and what a dry run or a plan shows. The core reads the steps: here they are any JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from app.domain.grants.trigger import ALLOWED_POLICIES, DEFAULT_POLICY, Policy
from app.domain.runs.simulate import Supposing
from app.domain.states import Trigger
from app.domain.steps.base import MAX_STEPS
from app.errors import FieldError
from app.schemas.answers import Output
from app.schemas.base import Input, inner_fields
from app.schemas.kinds import Flag, GrantId, LongText, NameText, Number, ShortText

TriggerWord = Literal["access_granted", "access_revoked"]
PolicyWord = Literal["each_grant", "first_active_grant", "last_active_grant"]
POLICY_FIELDS = {Trigger.ACCESS_GRANTED: "grant_policy", Trigger.ACCESS_REVOKED: "revoke_policy"}


def policy_errors(trigger: Trigger, given: Mapping[str, str | None]) -> list[FieldError]:
    """What is wrong with the policies that were sent for a workflow of this trigger."""
    errors: list[FieldError] = []
    for name, word in given.items():
        if word is None:
            continue
        if name != POLICY_FIELDS[trigger]:
            message = f"A workflow for {trigger.label} has a {POLICY_FIELDS[trigger]} instead."
            errors.append(FieldError(name, message))
        elif Policy(word) not in ALLOWED_POLICIES[trigger]:
            words = ", ".join(ALLOWED_POLICIES[trigger])
            errors.append(FieldError(name, f"Choose one of: {words}."))
    return errors


class WorkflowIn(Input):
    """A new workflow, with its first version when there are steps."""

    name: NameText
    trigger: TriggerWord
    description: LongText = ""
    steps: Any = None
    enabled: Flag = False
    grant_policy: PolicyWord | None = None
    revoke_policy: PolicyWord | None = None

    @model_validator(mode="after")
    def _policy_fits(self) -> WorkflowIn:
        given = {"grant_policy": self.grant_policy, "revoke_policy": self.revoke_policy}
        errors = policy_errors(Trigger(self.trigger), given)
        if errors:
            raise inner_fields(errors)
        return self

    @property
    def policy(self) -> Policy:
        """The chosen policy, or the trigger's default."""
        chosen = self.grant_policy or self.revoke_policy
        return Policy(chosen) if chosen else DEFAULT_POLICY[Trigger(self.trigger)]


class WorkflowPatch(Input):
    """Changes to a workflow; fields that are not sent stay. Its trigger never changes."""

    name: NameText = ""
    description: LongText = ""
    enabled: Flag = False
    grant_policy: PolicyWord | None = None
    revoke_policy: PolicyWord | None = None


class VersionIn(Input):
    """New steps. `based_on`: the number of the version that they were made from; a newer one refuses them."""

    steps: Any
    note: LongText = ""
    based_on: Annotated[int | None, Number(0, 2**31 - 1)] = None


class DryRunIn(Input):
    """A dry-run against a grant: of the newest version, of `version`, or of unsaved `steps`.

    `fail_step` and `fail_steps` name the steps that are taken to fail. `statuses` says which steps are answered with
    which HTTP status, such as {"find": 404}, and `absent` which values are taken not to be there, by their tokens:
    ["steps.find.id"].
    """

    grant_id: GrantId
    steps: Any = None
    version: Annotated[int | None, Number(1, 2**31 - 1)] = None
    fail_step: ShortText = ""
    fail_steps: Annotated[list[ShortText], Field(max_length=MAX_STEPS)] = Field(default_factory=list)
    statuses: Annotated[dict[ShortText, Annotated[int, Number(100, 599)]], Field(max_length=MAX_STEPS)] = (
        Field(default_factory=dict)
    )
    absent: Annotated[list[ShortText], Field(max_length=MAX_STEPS)] = Field(default_factory=list)

    @property
    def supposing(self) -> Supposing:
        failing = {one for one in (self.fail_step, *self.fail_steps) if one}
        return Supposing(failing, self.statuses, self.absent)


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
    `confirm` is there when Retry asks for `confirm_unknown`, and says why: the call may have taken effect, or has.
    """

    allowed: bool
    reason: str | None
    note: str | None
    advised: str | None
    confirm: str | None = Field(default=None, exclude_if=lambda value: value is None)
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
    """A step on the way. `request` is None where none would be sent; a person is asked by `prompt`.

    A `skipped` step has a condition that does not hold, which `skipped` says; a `branched` one is answered with a
    status that leads elsewhere.
    """

    key: str
    name: str
    type: str
    outcome: Literal["succeeded", "failed", "skipped", "branched"]
    edge: str
    compensation: bool
    skipped: str | None
    request: DryRequestOut | None
    prompt: str | None
    warnings: list[str]


class DryRunOut(Output):
    steps: list[DryStepOut]
    end: str
    warnings: list[str]
