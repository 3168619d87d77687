"""The grants that a workflow can be tried for, as a page offers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.clock import now
from app.domain.states import Trigger
from app.domain.steps.scope import ScopeInfo
from app.domain.workflows.definition import Definition
from app.extensions import db
from app.models import Application, Grant, Workflow
from app.queries.grants import GrantFilters, grant_list
from app.queries.lookup import load
from app.queries.samples import Sample, sample_of, sample_person
from app.queries.workflow_scope import scope_info
from app.schemas.kinds import record_id
from app.web.login_session import viewer_may

# A page has two lists of them and 60 KiB; any other grant is found by its person.
OFFERED = 25
# What stands in an address for the made-up person.
SAMPLE = "sample"
SAMPLE_WORDS = "Sam Sample, a made-up person"


def whom(workflow: Workflow, asked: str, person: str = "") -> Grant | Sample | None:
    """Whom a workflow is tried for: the made-up person where they are `asked` for, else as `chosen_grant`."""
    if asked != SAMPLE:
        return chosen_grant(workflow, asked, person)
    session = db.session()
    info = scope_info(session, workflow, Definition())
    application = load(db.session(), Application, workflow.application_id)
    return sample_person(application, Trigger(workflow.trigger), info, now=now())


@dataclass(frozen=True, slots=True)
class Sampling:
    """The sample that the editor previews for, and every choice: value, words, whether it is this one."""

    sample: Sample
    choices: Sequence[tuple[str, str, bool]]


def sampling(workflow: Workflow, asked: str, info: ScopeInfo) -> Sampling:
    """The grant `asked` for, else the newest active one; a made-up person where the reader may see none."""
    session = db.session()
    choices = offered_grants(workflow, _of(workflow, asked)) if viewer_may("grant:read") else []
    numbers = [number for number, _ in choices]
    chosen = record_id(asked)
    if chosen not in numbers:
        chosen = numbers[0] if numbers and asked != SAMPLE else None
    listed = [(str(number), words, number == chosen) for number, words in choices]
    listed.append((SAMPLE, SAMPLE_WORDS, chosen is None))
    if chosen is not None:
        return Sampling(sample_of(session, workflow, session.get_one(Grant, chosen), now=now()), listed)
    application = load(db.session(), Application, workflow.application_id)
    return Sampling(sample_person(application, Trigger(workflow.trigger), info, now=now()), listed)


def _of(workflow: Workflow, asked: str) -> Grant | None:
    """The grant that was asked for, where it is one of the workflow's application."""
    number = record_id(asked)
    grant = db.session.get(Grant, number) if number is not None else None
    return grant if grant is not None and grant.application_id == workflow.application_id else None


def chosen_grant(workflow: Workflow, asked: str, person: str = "") -> Grant | None:
    """The grant `asked` for, else the newest active one; None without any, or for one that does not exist.

    `person` is a part of a name or email that narrows the newest.
    """
    if asked:
        number = record_id(asked)
        found = db.session.get(Grant, number) if number is not None else None
        if found is None or not person or any(one.id == found.id for one in _newest(workflow, person)):
            return found
    newest = _newest(workflow, person, size=1)
    return newest[0] if newest else None


def offered(
    workflow: Workflow, chosen: Grant | Sample | None, person: str = ""
) -> list[tuple[str, str, bool]]:
    """The newest active grants and the made-up person as choices: value, words, whether it is `chosen`.

    The grant that is looked at is among them wherever it stands.
    """
    grant = chosen if isinstance(chosen, Grant) else None
    choices = [(str(number), words) for number, words in offered_grants(workflow, grant, person)]
    choices.append((SAMPLE, SAMPLE_WORDS))
    is_now = SAMPLE if isinstance(chosen, Sample) else str(grant.id) if grant is not None else ""
    return [(value, words, value == is_now) for value, words in choices]


def offered_grants(workflow: Workflow, chosen: Grant | None, person: str = "") -> list[tuple[int, str]]:
    """The newest active grants as choices, and the one that is looked at wherever it stands."""
    offered = [(one.id, _words(one, one.user.name)) for one in _newest(workflow, person)]
    if chosen is not None and chosen.id not in [number for number, _ in offered]:
        offered.append((chosen.id, f"Grant {chosen.id}"))
    return offered


def _newest(workflow: Workflow, person: str, *, size: int = OFFERED) -> list[Grant]:
    filters = GrantFilters(application_id=workflow.application_id, is_active=True, text=person)
    return list(grant_list(db.session(), filters, limit=size))


def _words(grant: Grant, name: str) -> str:
    level = f", {grant.access_level}" if grant.access_level else ""
    return f"{name}{level} (grant {grant.id})"
