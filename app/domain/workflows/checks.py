"""What the steps of a workflow mean together: may this version be saved?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from app.domain.json_reader import Problem, Severity, meant
from app.domain.mapping.json_paths import json_path_problems
from app.domain.mapping.paths import path_problems
from app.domain.mapping.quoting import quoting_warnings
from app.domain.mapping.render import render_headers
from app.domain.mapping.templates import MappingError, compile_template, leaves
from app.domain.mapping.tokens import Scope, check_template, unknown_account_names, unknown_kept_names
from app.domain.states import Trigger
from app.domain.steps.base import CONTINUE, END, ESCALATE, Compensate, GoTo
from app.domain.steps.registry import Step
from app.domain.steps.scope import Kept, ScopeInfo
from app.domain.workflows.definition import Definition
from app.domain.workflows.findings import Findings, StepNotes
from app.domain.workflows.graph import circles, earlier_steps, onwards, reached_from, success_target

# The fields that say where in an answer something stands.
_PLACE = re.compile(r"capture\..*|failure_reason|(expect|retry\.wait_when)\[[0-9]+\]\.path", re.DOTALL)
SAY_SO = " If both are the same account, say so;"


def check_definition(definition: Definition, info: ScopeInfo) -> list[Problem]:
    """Every problem of a parsed definition, step by step: errors, which refuse it, and warnings.

    At most a hundred are listed.
    """
    findings = Findings(definition)
    keys_differ = not _repeated_keys(findings)
    if keys_differ:
        _check_flow(findings)
    for position, step in enumerate(definition.steps):
        following = onwards(definition, success_target(definition, step))
        step.check(StepNotes(findings, position), info, list(following))
    _check_templates(findings, info, keys_differ=keys_differ)
    _check_kept(findings, info)
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
                " is revoked, it stays. Build a workflow for Access revoked, unless it only reads or signs in."
            )
            findings.warn_of_whole(message, step.key)
            return


def _check_kept(findings: Findings, info: ScopeInfo) -> None:
    """Two steps that keep one name overwrite each other, and then another account is acted on, unless they say that
    it is the same one: all but one must."""
    unsaid: dict[Kept, str] = {
        kept: "A step of another workflow of this application"
        for kept, same in info.kept_elsewhere.items()
        if not same
    }
    for position, step in enumerate(findings.definition.steps):
        for rule in step.keeps:
            kept = (rule.name, rule.keep or "")
            if kept in unsaid and not rule.same:
                other, token = (
                    unsaid[kept],
                    f"{'account' if rule.keep == 'account' else 'grant.kept'}.{rule.name}",
                )
                message = f"{other} keeps {rule.name} too, and later steps could not tell whose {token} is."
                if rule.keep == "account":
                    message += SAY_SO
                    message += f" otherwise call this one {step.key}_{rule.name}."
                else:
                    message += f" Call this one {step.key}_{rule.name}."
                severity: Severity = "warning" if info.saved_before else "error"
                findings.add(position, f"capture.{rule.name}", message, severity)
            if not rule.same:
                unsaid.setdefault(kept, f"“{step.name}”")


def _repeated_keys(findings: Findings) -> bool:
    """Note each key that an earlier step has already, and say whether there was one."""
    seen: set[str] = set()
    repeated = False
    for position, step in enumerate(findings.definition.steps):
        if step.key in seen:
            findings.add(position, "key", f"Another step has the key {step.key} already.")
            repeated = True
        seen.add(step.key)
    return repeated


def _check_flow(findings: Findings) -> None:
    """Note every problem of the edges. The keys must differ."""
    for position, step in enumerate(findings.definition.steps):
        _check_targets(findings, position, step)
        if step.key in findings.definition.compensation_keys:
            _check_compensation(findings, position, step)
    _check_circles(findings)
    _check_reached(findings)


def _check_targets(findings: Findings, position: int, step: Step) -> None:
    definition = findings.definition
    for name, edge in step.edges():
        if not isinstance(edge, GoTo | Compensate):
            continue
        if edge.key not in definition:
            hint = meant(edge.key, [one.key for one in definition.steps])
            findings.add(position, name, f"There is no step {edge.key}.{hint}")
        elif edge.key == step.key:
            verb = "undo itself" if isinstance(edge, Compensate) else "go on to itself"
            findings.add(position, name, f"A step cannot {verb}. Choose another step.")
        elif isinstance(edge, GoTo) and edge.key in definition.compensation_keys:
            undoing = definition.step(edge.key).name
            findings.add(
                position, name, f"“{undoing}” is used for compensation and is reached in no other way."
            )


def _check_compensation(findings: Findings, position: int, step: Step) -> None:
    """After a compensation step the run ends: compensated, or failed when the step itself failed."""
    if isinstance(step.on_success, GoTo):
        message = (
            "This step is used for compensation: the run ends after it. Choose Next step or End the run."
        )
        findings.add(position, "on_success", message)
    if isinstance(step.on_failure, GoTo | Compensate) and step.on_failure.key != step.key:
        message = "This step is used for compensation: when it fails, the run ends. Choose Alert and stop."
        findings.add(position, "on_failure", message)
    elif any(name not in ("on_success", "on_failure") for name, _ in step.edges()):
        message = "This step is used for compensation: the run ends after it, whatever the answer was."
        findings.add(position, "on_status", f"{message} Take out the ways by status.")
    elif step.on_failure in (ESCALATE, CONTINUE):
        message = "This step is used for compensation: when it fails, the run ends as failed all the same."
        findings.warn(position, "on_failure", message)


def _check_circles(findings: Findings) -> None:
    definition = findings.definition
    positions = {step.key: position for position, step in enumerate(definition.steps)}
    for key, name, circle in circles(definition):
        if len(circle) > 2:  # A step that names itself has been noted with its edge.
            names = " → ".join(f"“{definition.step(one).name}”" for one in circle)
            findings.add(positions[key], name, f"The run would go in a circle: {names}.")


def _check_reached(findings: Findings) -> None:
    definition = findings.definition
    reached = reached_from(definition, definition.first)
    for position, step in enumerate(definition.steps):
        if step.key not in reached:
            findings.add(position, "key", f"“{step.name}” can never be reached{_reason(findings, position)}.")


def _reason(findings: Findings, position: int) -> str:
    definition = findings.definition
    if definition.steps[position].key in definition.compensation_keys:
        return ": no step that it undoes is ever reached"
    ordinary = [one for one in definition.steps[:position] if one.key not in definition.compensation_keys]
    if not ordinary:
        return ""
    above = ordinary[-1]
    if above.on_success is END:
        return f": “{above.name}” above it ends the run"
    if isinstance(above.on_success, GoTo):
        return f": “{above.name}” above it goes on elsewhere"
    return f", since “{above.name}” above it is not reached either"


def step_template_problems(step: Step, earlier: Iterable[Step], info: ScopeInfo) -> list[tuple[str, str]]:
    """What is wrong with the templates of one step after those `earlier`: the field's name and a sentence."""
    scope = Scope(
        outputs={one.key: one.outputs for one in earlier},
        account_names=info.account_names,
        kept_names=info.kept_names,
    )
    return [(name, problem) for name, text in step.texts() for problem in _problems_of(name, text, scope)]


def _check_templates(findings: Findings, info: ScopeInfo, *, keys_differ: bool) -> None:
    """Note every problem of every template. When keys repeat, the order of steps is not looked at."""
    definition = findings.definition
    everything = frozenset(step.key for step in definition.steps)
    succeeded = _reached_after_success(definition)
    earlier = earlier_steps(definition) if keys_differ else dict.fromkeys(everything, everything)
    for position, step in enumerate(definition.steps):
        if findings.is_full():
            return
        scope = _scope(definition, earlier[step.key], info)
        for name, text in step.texts():
            if findings.is_full():
                return
            problems = _problems_of(name, text, scope)
            for problem in problems:
                findings.add(position, name, problem)
            if not problems:
                for warning in (
                    *_unknown_accounts(text, scope, info),
                    *_unknown_kept(text, scope),
                    *(message for _, _, message in quoting_warnings(name, text)),
                    *_never_set(step.key, text, succeeded),
                ):
                    findings.warn(position, name, warning)
        _check_names(findings, position, step)


def _scope(definition: Definition, earlier: frozenset[str], info: ScopeInfo) -> Scope:
    before = [one for one in definition.steps if one.key in earlier]
    # What an earlier call captured belongs to the account, or to the grant, from then on.
    keeps = [rule for one in before for rule in one.keeps]
    return Scope(
        outputs={one.key: one.outputs for one in before},
        account_names=info.account_names,
        kept_names=info.kept_names | {rule.name for rule in keeps if rule.keep == "grant"},
        captured=frozenset(rule.name for rule in keeps if rule.keep == "account"),
        too_late=frozenset(
            f"steps.{one.key}.{name}"
            for one in definition.steps
            if one.key not in earlier
            for name in one.outputs
        ),
    )


def _problems_of(name: str, text: str, scope: Scope) -> list[str]:
    problems = check_template(text, scope)
    if name == "path":
        return list(dict.fromkeys([*problems, *path_problems(text)]))
    if _PLACE.fullmatch(name):
        return list(dict.fromkeys([*problems, *json_path_problems(text)]))
    if name.startswith("headers.") and not problems:
        try:
            render_headers({"": text}, {})
        except MappingError as error:
            return [error.message]
    return problems


def _unknown_accounts(text: str, scope: Scope, info: ScopeInfo) -> Iterator[str]:
    for token in unknown_account_names(text, scope):
        if info.trigger is Trigger.ACCESS_REVOKED:
            yield (
                f"{token} is captured by no workflow that runs on Access granted, so it would be empty."
                " Capture it there, or look it up in a step before this one."
            )
        else:
            yield f"{token} has not been captured so far; it is empty until a run captures it."


def _unknown_kept(text: str, scope: Scope) -> Iterator[str]:
    for token in unknown_kept_names(text, scope):
        yield f"{token} is kept with the grant by no workflow of this application, so it would be empty."


def _never_set(key: str, text: str, succeeded: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """The tokens of steps that come earlier, but only ever by having failed."""
    for token in dict.fromkeys(token.name for token in compile_template(text).tokens):
        root, _, rest = token.partition(".")
        source = rest.partition(".")[0]
        if root == "steps" and key not in succeeded[source]:
            yield f"{token} is always empty here: this step is reached only when {source} has failed."


def _reached_after_success(definition: Definition) -> dict[str, frozenset[str]]:
    """For each key, the steps that a run can come to once that step has succeeded."""
    return {one.key: reached_from(definition, success_target(definition, one)) for one in definition.steps}


def _check_names(findings: Findings, position: int, step: Step) -> None:
    """Names are literal: a token in one would be sent as it stands."""
    for at, mapping in step.mappings().items():
        for name, _ in leaves(mapping, at):
            if "{{" in name:
                findings.add(position, name, "A name cannot hold a token; only a value can.")
