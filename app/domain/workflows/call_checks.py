"""Checks of one call: its connection, its headers, and settings that do more than their author may expect."""

from __future__ import annotations

from app.domain.headers import reserved_header
from app.domain.mapping.render import FORM_TYPE, to_body
from app.domain.mapping.templates import MappingError
from app.domain.workflows.findings import Findings, ScopeInfo
from app.domain.workflows.graph import success_target
from app.domain.workflows.steps import HttpStep, WebhookStep

_CONFLICT = 409


def check_call(findings: Findings, position: int, step: HttpStep | WebhookStep, info: ScopeInfo) -> None:
    """Note every problem of the step at `position` that does not lie in its templates or edges."""
    _check_connection(findings, position, step, info)
    _check_retry(findings, position, step)
    if isinstance(step, HttpStep):
        _check_headers(findings, position, step)
        _check_body_format(findings, position, step)
        for rule in step.capture:
            problem = info.capture_problem(rule.source) if rule.source.startswith("$") else None
            if problem:
                findings.add(position, f"capture.{rule.name}", problem)
        if step.method != "GET" and _CONFLICT in step.success_statuses and step.capture:
            _check_lookup_follows(findings, position, step)


def _check_connection(
    findings: Findings, position: int, step: HttpStep | WebhookStep, info: ScopeInfo
) -> None:
    found = info.connections.get(step.connection_id)
    if found is None:
        message = "This application has no such connection. Choose one of its connections."
        findings.add(position, "connection_id", message)
    elif found != step.type.value:
        message = f"This connection is of the type {found}; the step needs one of the type {step.type.value}."
        findings.add(position, "connection_id", message)


def _check_retry(findings: Findings, position: int, step: HttpStep | WebhookStep) -> None:
    retry = step.retry
    if retry.is_on and not step.idempotent:
        if retry.lost_answer == "ask":
            meaning = (
                "After a server error the call is sent again, which may do it twice."
                " When no answer came, a person is asked first."
            )
        else:
            meaning = (
                "A call whose answer was lost may have taken effect, and sending it again may do it twice."
                " Turn retry off, choose to ask a person, or mark the step idempotent if the other system"
                " ignores duplicates."
            )
        findings.warn(position, "retry.attempts", f"This step is not marked idempotent. {meaning}")
    if retry.wait_statuses and not retry.is_on:
        message = "Statuses that mean “not yet” have no effect while Retry on failure is off."
        findings.warn(position, "retry.wait_statuses", message)
    both = [low for low, high in retry.wait_statuses.ranges if low == high and low in step.success_statuses]
    if both:
        message = f"{both[0]} is listed as a success too, so it is never waited for."
        findings.warn(position, "retry.wait_statuses", message)


def _check_headers(findings: Findings, position: int, step: HttpStep) -> None:
    for name in step.headers:
        if reserved_header(name):
            hint = (
                " Credentials belong to the connection."
                if name.lower() in ("authorization", "cookie")
                else ""
            )
            findings.add(
                position, f"headers.{name}", f"{name} is set by the console and not by a step.{hint}"
            )


def _check_body_format(findings: Findings, position: int, step: HttpStep) -> None:
    if step.body is None:
        return
    if step.body_format == "form":
        try:
            to_body(step.body, "form")
        except MappingError as error:
            message = f"A form holds single values and lists of them. {error.message}"
            findings.add(position, error.field, message)
    for name, value in step.headers.items():
        if name.lower() != "content-type" or "{{" in value:
            continue
        fits = FORM_TYPE in value.lower() if step.body_format == "form" else "json" in value.lower()
        if not fits:
            kind = "a form" if step.body_format == "form" else "JSON"
            findings.warn(
                position, f"headers.{name}", f"The body is sent as {kind}, which this type does not say."
            )


def _check_lookup_follows(findings: Findings, position: int, step: HttpStep) -> None:
    """A create that takes “already exists” for a success has nothing to capture then; a lookup finds it."""
    if not _lookup_follows(findings, step):
        message = (
            "409 counts as success, but its answer seldom holds the values captured here."
            " Add a GET step after this one that looks the account up and captures them."
        )
        findings.warn(position, "capture", message)
    elif any(not rule.optional for rule in step.capture):
        message = (
            "409 counts as success, but a required value that its answer does not hold fails the step."
            " Mark it optional: the lookup that follows captures it."
        )
        findings.warn(position, "capture", message)


def _lookup_follows(findings: Findings, step: HttpStep) -> bool:
    definition = findings.definition
    passed = {step.key}
    key = success_target(definition, step)
    while key is not None and key not in passed:
        following = definition.step(key)
        if isinstance(following, HttpStep) and following.method == "GET" and following.capture:
            return True
        passed.add(key)
        key = success_target(definition, following)
    return False
