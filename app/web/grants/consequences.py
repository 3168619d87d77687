"""What a grant event will start, or why nothing, in words: before the click and beside what was decided."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import url_for

from app.engine.states import Trigger
from app.engine.trigger import NoRunReason, checks, no_run_reason
from app.services.decisions import Situation
from app.web.filters import plural
from app.web.signedin import viewer_may


@dataclass(frozen=True, slots=True)
class Fix:
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
    fix: Fix | None

    @property
    def runs(self) -> bool:
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Line:
    """One check with its words; only the first that stands in the way carries the fix."""

    ok: bool
    detail: str
    fix: Fix | None


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


def lines_now(situation: Situation, application_id: int) -> list[Line]:
    """Every check as it stands now."""
    reason = no_run_reason(situation.facts)
    return [
        Line(
            check.ok,
            check.detail,
            fix_of(check.reason, situation, application_id) if check.reason == reason else None,
        )
        for check in checks(situation.facts)
    ]


def fix_of(reason: NoRunReason, situation: Situation, application_id: int) -> Fix | None:
    """The button that mends `reason`; None where there is nothing to mend."""
    workflows = f"{url_for('applications.show', application_id=application_id)}/workflows"
    trigger = situation.facts.trigger
    number = situation.workflow.id if situation.workflow else 0
    label, href = {
        NoRunReason.NO_WORKFLOW: ("Create workflow", f"{workflows}/new?trigger={trigger}"),
        NoRunReason.TRIGGER_MISMATCH: ("Create workflow", f"{workflows}/new?trigger={trigger}"),
        NoRunReason.WORKFLOW_DISABLED: ("Enable it", workflows),
        NoRunReason.NO_STEPS: ("Add steps", f"/workflows/{number}/edit"),
    }.get(reason, ("", ""))
    if not label:
        return None
    return Fix(label, href, "" if viewer_may("workflow:manage") else "workflow:manage")


def stored_words(reason: str | None) -> str:
    """A stored reason in words."""
    return NoRunReason(reason).label if reason else ""


def trigger_of(word: str) -> Trigger | None:
    """A trigger from an address or form; None for what is none."""
    return Trigger(word) if word in tuple(Trigger) else None


def without_other_grants(situation: Situation) -> Situation:
    """The same situation once the person holds nothing else: how the last of several is decided."""
    return replace(situation, facts=replace(situation.facts, other_active_grants=0))
