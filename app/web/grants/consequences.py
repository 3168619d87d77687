"""What a grant event will start, or why nothing, in words: before the click and beside what was decided."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import url_for

from app.domain.grants.trigger import NoRunReason, checks, no_run_reason
from app.domain.remedies.links import no_run_fix
from app.domain.states import Trigger
from app.queries.grants import Foreign
from app.queries.situation import Situation
from app.web.login_session import viewer_may
from app.web.template_filters import plural


@dataclass(frozen=True, slots=True)
class Mend:
    """What mends a cause: the button's words and where it leads. `lacks` names a missing permission."""

    label: str
    href: str
    lacks: str = ""


@dataclass(frozen=True, slots=True)
class Consequence:
    """What will happen. `reason` is None when a run will start."""

    what: str
    why: str
    reason: NoRunReason | None
    fix: Mend | None

    @property
    def runs(self) -> bool:
        return self.reason is None


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check with its words; one that stands in the way carries its fix."""

    ok: bool
    detail: str
    fix: Mend | None


def consequence_of(situation: Situation, application_id: int) -> Consequence:
    """What an event in this situation comes to."""
    reason = no_run_reason(situation.facts)
    if reason is None:
        workflow = situation.workflow
        assert workflow is not None
        steps = plural(workflow.step_count, "step")
        what = f"“{workflow.name}” (version {workflow.version_number}, {steps}) will run."
        return Consequence(what, "", None, None)
    failing = next(check for check in checks(situation.facts) if not check.ok)
    return Consequence(
        f"No automation will run: {reason.label}.",
        failing.detail,
        reason,
        fix_of(reason, situation, application_id),
    )


def lines_now(
    situation: Situation,
    application_id: int,
    *,
    grant_id: int,
    keeper_id: int | None,
    foreign: Foreign | None,
) -> list[CheckLine]:
    """Every check as it stands now, each that stands in the way with its mend.

    `foreign` is a workflow of another application that may have been expected to answer.
    """
    found = [
        CheckLine(
            check.ok,
            check.detail,
            None
            if check.ok
            else fix_of(check.reason, situation, application_id, grant_id=grant_id, keeper_id=keeper_id),
        )
        for check in checks(situation.facts)
    ]
    if situation.facts.has_workflow:
        return found
    return [*found, _of_one_application(foreign)]


def _of_one_application(foreign: Foreign | None) -> CheckLine:
    if foreign is None:
        return CheckLine(
            True, "Workflows belong to one application: one of another application does not apply.", None
        )
    href = url_for("workflows.index", application_id=foreign.application_id)
    lacks = "" if viewer_may("workflow:read") else "workflow:read"
    return CheckLine(
        False,
        f"“{foreign.workflow}” belongs to {foreign.application} and does not apply: workflows belong to one "
        "application.",
        Mend(f"Open {foreign.application}", href, lacks),
    )


def fix_of(
    reason: NoRunReason,
    situation: Situation,
    application_id: int,
    *,
    grant_id: int | None = None,
    keeper_id: int | None = None,
) -> Mend | None:
    """The button that mends `reason`; None where there is nothing to mend."""
    about_a_grant = reason in (NoRunReason.OTHER_ACTIVE_GRANT, NoRunReason.RECORDED_ONLY)
    if about_a_grant and (
        grant_id is None or (reason is NoRunReason.OTHER_ACTIVE_GRANT and keeper_id is None)
    ):
        return None
    found = no_run_fix(
        reason,
        application_id=application_id,
        trigger=situation.facts.trigger,
        workflow_id=situation.workflow.id if situation.workflow else None,
        grant_id=grant_id,
        keeper_id=keeper_id,
    )
    return Mend(found.label, found.href, "" if viewer_may(found.permission) else found.permission)


def stored_words(reason: str | None) -> str:
    """A stored reason in words."""
    return NoRunReason(reason).label if reason else ""


def trigger_of(word: str) -> Trigger | None:
    """A trigger from an address or form; None for what is none."""
    return Trigger(word) if word in tuple(Trigger) else None


def without_other_grants(situation: Situation) -> Situation:
    """The same situation once the person holds nothing else: how the last of several is decided."""
    return replace(situation, facts=replace(situation.facts, other_active_grants=0))
