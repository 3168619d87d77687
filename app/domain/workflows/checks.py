"""What the steps of a workflow mean together: may this version be saved (SPEC §4)?"""

from __future__ import annotations

from app.domain.json_reader import Problem
from app.domain.states import Trigger
from app.domain.steps.scope import ScopeInfo
from app.domain.workflows.definition import Definition
from app.domain.workflows.findings import Findings, StepNotes
from app.domain.workflows.flow_checks import check_flow, repeated_keys
from app.domain.workflows.graph import onwards, success_target
from app.domain.workflows.template_checks import check_templates


def check_definition(definition: Definition, info: ScopeInfo) -> list[Problem]:
    """Every problem of a parsed definition, step by step: errors, which refuse it, and warnings.

    At most a hundred are listed.
    """
    findings = Findings(definition)
    keys_differ = not repeated_keys(findings)
    if keys_differ:
        check_flow(findings)
    for position, step in enumerate(definition.steps):
        following = onwards(definition, success_target(definition, step))
        step.check(StepNotes(findings, position), info, list(following))
    check_templates(findings, info, keys_differ=keys_differ)
    if info.trigger is Trigger.ACCESS_GRANTED and not info.answers_revoke:
        _check_removal(findings)
    return findings.in_order()


def _check_removal(findings: Findings) -> None:
    """What is created on a grant stays for ever when nothing answers the revoke."""
    definition = findings.definition
    for step in definition.steps:
        if step.may_create and step.key not in definition.compensation_keys:
            message = (
                f"“{step.name}” may create something, and no workflow of this application removes it: when access"
                " is revoked, it stays. Build a workflow for Access revoked."
            )
            findings.warn_of_whole(message, step.key)
            return
