"""Dry-run: what a workflow would send for a grant, from the same code that sends it.

Nothing is sent, written or decrypted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy.orm import Session

from app.connectors.messages import ConfigurationError
from app.connectors.perform import prepare
from app.connectors.types.table import TYPES
from app.domain.mapping.filters import Placeholder
from app.domain.mapping.templates import MappingError, compile_template
from app.domain.mapping.tokens import KEPT
from app.domain.runs.calls import ConnectionData, Order
from app.domain.runs.simulate import Known, Supposing, Visit, supposed, walk
from app.domain.states import FailureClass, RunStatus
from app.domain.steps.calls import Prepared
from app.domain.steps.registry import Step
from app.domain.workflows.definition import Definition, parse_definition
from app.errors import FieldError, Invalid
from app.models import Grant, Workflow
from app.queries.connections import connections_by_id
from app.queries.samples import Sample, sample_of
from app.queries.workflow_scope import check
from app.queries.workflow_versions import newest_definition, saved_definition

CREDENTIAL = "‹credential›"
RUN = "‹run›"
NOTHING_SUPPOSED = Supposing()


@dataclass(frozen=True, slots=True)
class DryStep:
    """A step on the way. `request` is None for a person's turn, whose `prompt` is given, and where none is sent."""

    visit: Visit
    request: Prepared | None
    prompt: str
    warnings: Sequence[str]

    @property
    def step(self) -> Step:
        return self.visit.step


@dataclass(frozen=True, slots=True)
class DryRun:
    """The way that the run would take, where it would end, and what the author should know.

    `places` are those of all steps in the workflow, from 1, by key.
    """

    steps: Sequence[DryStep]
    end: RunStatus
    warnings: Sequence[str]
    places: Mapping[str, int]


def dry_run(
    session: Session,
    workflow: Workflow,
    whom: Grant | Sample,
    *,
    now: datetime,
    steps: Any = None,
    version: int | None = None,
    supposing: Supposing = NOTHING_SUPPOSED,
) -> DryRun:
    """What a version (by default the newest) or unsaved `steps` would do for a grant or sample.

    Raises Invalid for steps that could not be saved, a grant of another application, and what cannot be supposed;
    NotFound for a version that there is none of.
    """
    if isinstance(whom, Grant) and whom.application_id != workflow.application_id:
        raise Invalid.field("grant_id", "This grant is of another application.")
    definition, warnings = definition_to_try(session, workflow, steps, version)
    _check_supposed(definition, supposing)
    sample = whom if isinstance(whom, Sample) else sample_of(session, workflow, whom, now=now)
    reach = reachable(session, workflow.application_id, [definition])
    found = try_out(definition, sample, reach, supposing)
    return replace(found, warnings=[*warnings, *found.warnings])


def try_out(
    definition: Definition,
    sample: Sample,
    connections: Mapping[int, ConnectionData],
    supposing: Supposing = NOTHING_SUPPOSED,
) -> DryRun:
    """The way of a run for this sample over these connections. Touches nothing outside."""
    looked = Looked(connections, sample)
    way = walk(definition, known=sample.known, look=looked.look, filled=sample.filled, supposing=supposing)
    places = {one.key: at for at, one in enumerate(definition.steps, 1)}
    return DryRun([looked.seen(one) for one in way.visits], way.end, looked.warnings, places)


def _check_supposed(definition: Definition, supposing: Supposing) -> None:
    for field_name, keys in (("fail_step", supposing.failing), ("statuses", supposing.statuses)):
        unknown = [one for one in keys if one not in definition]
        if unknown:
            raise Invalid.field(field_name, f"There is no step {unknown[0][:100]}.")
    uncalled = [one for one in supposing.statuses if definition.step(one).call is None]
    if uncalled:
        raise Invalid.field("statuses", f"“{definition.step(uncalled[0]).name}” makes no call.")
    captured = {f"steps.{one.key}.{name}" for one in definition.steps for name in one.outputs}
    odd = [one for one in supposing.absent if one not in captured and not one.startswith(("account.", KEPT))]
    if odd:
        raise Invalid.field("absent", f"No step captures {odd[0][:100]}.")


def can_be_absent(definition: Definition) -> list[tuple[str, str]]:
    """The values that a condition is on and that may not be there: each token, and the words for it."""
    names = {
        token.name
        for one in definition.steps
        for term in one.only_if
        for token in compile_template(term.of).tokens
    }
    found: dict[str, str] = {}
    for step in definition.steps:
        for rule in step.call.captures if step.call else ():
            home = {"account": f"account.{rule.name}", "grant": f"{KEPT}{rule.name}"}.get(rule.keep or "", "")
            token = f"steps.{step.key}.{rule.name}"
            if token in names or (rule.optional and home in names):
                found[token] = f"“{step.name}” finds no {rule.name}"
    known = sorted(one for one in names if one.startswith(("account.", KEPT)))
    return [*found.items(), *((one, f"{one} is not known before") for one in known)]


def reachable(
    session: Session, application_id: int, definitions: Iterable[Definition]
) -> dict[int, ConnectionData]:
    """The connections that the steps of an application's workflows reach, in one statement.

    Steps never borrow the connection of another application.
    """
    ids = {step.connection_number for one in definitions for step in one.steps}
    found = connections_by_id(session.connection(), ids)
    return {number: one for number, one in found.items() if one.application_id == application_id}


def preview_step(session: Session, step: Step, earlier: Sequence[Step], sample: Sample) -> DryStep:
    """What one step would send by itself, once the steps before it have captured their values.

    What cannot be sent has no request and says why in its warnings.  The step need not have been checked.
    """
    near = reachable(session, sample.subject.application_id, [Definition((step,))])
    reach = {number: one for number, one in near.items() if one.type == step.type}
    looked = Looked(reach, sample)
    looked.look(step, supposed(earlier, sample.known))
    found = looked.steps[step.key]
    return replace(found, warnings=[*looked.warnings, *found.warnings])


def definition_to_try(
    session: Session, workflow: Workflow, steps: Any = None, version: int | None = None
) -> tuple[Definition, list[str]]:
    """The definition that is to be tried, and the warnings about unsaved `steps`.

    Raises Invalid for steps that could not be saved and for none at all; NotFound for no such version.
    """
    warnings: list[str] = []
    if steps is not None:
        parsed, problems = parse_definition(steps)
        if parsed is None:
            errors = [FieldError(one.field, one.message) for one in problems]
            raise Invalid("The steps cannot be read.", errors)
        definition, warnings = parsed, [one.message for one in check(session, workflow, parsed)]
    elif version is not None:
        definition = saved_definition(session, workflow, version)
    else:
        definition = newest_definition(session, workflow)
    if definition.first is None:
        raise Invalid.field("steps", "There are no steps yet. Add one first.")
    return definition, warnings


@dataclass(slots=True)
class Looked:
    """Prepares each step as the walk comes to it, for a sample. `steps` are those that were looked at."""

    connections: Mapping[int, ConnectionData]
    sample: Sample
    steps: dict[str, DryStep] = field(init=False, default_factory=dict)
    warnings: list[str] = field(init=False, default_factory=list)

    def look(self, step: Step, known: Known) -> FailureClass | None:
        """Fill in the step; the failure that this side would make of it, or None."""
        context = self.sample.filled(known)
        asked, call = step.ask(context), step.call
        if call is None:
            self._note(step, prompt=asked.prompt if asked else "")
            return None
        connection = self.connections.get(call.connection_number or 0)
        order = Order(0, 0, 1, call, f"{RUN}-{step.key}", context, connection)
        try:
            prepared = prepare(order)
            assert connection is not None
            signed = TYPES[connection.type].shown(connection.config, CREDENTIAL)
        except MappingError as error:
            self._note(step, warnings=[f"{error.field}: {error.message} The step would fail here."])
            return FailureClass.MAPPING
        except ConfigurationError as error:
            self._note(step, warnings=[error.message])
            return FailureClass.CONFIGURATION
        warnings = [f"{name} is empty." for name in prepared.empty_tokens]
        if signed and connection.sealed is None:
            self._warn_once(
                f"The connection {connection.name} has no credential: until one is added, the run fails at "
                f"“{step.name}”. What follows is what happens once it is there."
            )
        values = [known.account, known.kept, *known.captured.values()]
        shown = _readable(replace(prepared, headers={**prepared.headers, **signed}), values)
        self._note(step, request=shown, warnings=warnings)
        return None

    def seen(self, visit: Visit) -> DryStep:
        """The step as the walk came by."""
        if visit.skipped:
            return DryStep(visit, None, "", visit.supposes)
        found = self.steps[visit.step.key]
        return replace(found, visit=visit, warnings=[*found.warnings, *visit.supposes])

    def _warn_once(self, warning: str) -> None:
        # The run would not come any further than the first such step.
        if not self.warnings:
            self.warnings.append(warning)

    def _note(
        self,
        step: Step,
        *,
        request: Prepared | None = None,
        prompt: str = "",
        warnings: Sequence[str] = (),
    ) -> None:
        self.steps[step.key] = DryStep(Visit(step, ok=True), request, prompt, warnings)


def _readable(prepared: Prepared, known: Iterable[Mapping[str, Any]]) -> Prepared:
    """Placeholders as they are meant to be read, where encoding has made them unreadable."""
    url, body = prepared.url, prepared.body
    for text in {one for values in known for one in values.values() if isinstance(one, Placeholder)}:
        url = url.replace(quote(text, safe=""), text)
        body = body.replace(quote(text, safe="").encode(), text.encode()) if body else body
    return replace(prepared, url=url, body=body)
