"""Checks of each template: well formed, with known tokens only, each of them able to have a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from app.domain.mapping.paths import path_problems
from app.domain.mapping.render import render_headers
from app.domain.mapping.templates import MappingError, compile_template, leaves
from app.domain.mapping.tokens import Scope, check_template, unknown_account_names
from app.domain.states import Trigger
from app.domain.steps.registry import Step
from app.domain.steps.scope import ScopeInfo
from app.domain.workflows.definition import Definition
from app.domain.workflows.findings import Findings
from app.domain.workflows.graph import earlier_steps, reached_from, success_target


def scope_at(definition: Definition, key: str, account_names: frozenset[str]) -> Scope:
    """What the templates of the step `key` may name: for the checks and for the token picker."""
    return _scope(definition, earlier_steps(definition)[key], account_names)


def step_template_problems(
    step: Step, earlier: Iterable[Step], account_names: frozenset[str]
) -> list[tuple[str, str]]:
    """What is wrong with the templates of one step after those `earlier`: the field's name and a sentence."""
    scope = Scope(outputs={one.key: one.outputs for one in earlier}, account_names=account_names)
    return [(name, problem) for name, text in step.texts() for problem in _problems_of(name, text, scope)]


def check_templates(findings: Findings, info: ScopeInfo, *, keys_differ: bool) -> None:
    """Note every problem of every template. When keys repeat, the order of steps is not looked at."""
    definition = findings.definition
    everything = frozenset(step.key for step in definition.steps)
    succeeded = _reached_after_success(definition)
    earlier = earlier_steps(definition) if keys_differ else dict.fromkeys(everything, everything)
    for position, step in enumerate(definition.steps):
        if findings.is_full():
            return
        scope = _scope(definition, earlier[step.key], info.account_names)
        for name, text in step.texts():
            if findings.is_full():
                return
            problems = _problems_of(name, text, scope)
            for problem in problems:
                findings.add(position, name, problem)
            if not problems:
                for warning in (
                    *_unknown_accounts(text, scope, info),
                    *_never_set(step.key, text, succeeded),
                ):
                    findings.warn(position, name, warning)
        _check_names(findings, position, step)


def _scope(definition: Definition, earlier: frozenset[str], account_names: frozenset[str]) -> Scope:
    before = [one for one in definition.steps if one.key in earlier]
    # What an earlier call captured belongs to the account from then on.
    captured = {name for one in before if one.calls_out for name in one.outputs}
    return Scope(
        outputs={one.key: one.outputs for one in before},
        account_names=account_names,
        captured=frozenset(captured),
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
