"""Backtest: what another definition would have done for the last grants of the application. Nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from app.models import Grant, User, Workflow
from app.queries.dry_run import definition_to_try, reachable, try_out
from app.queries.dry_run_diff import DifferenceKind, RequestDifference, breaks, differences
from app.queries.samples import samples_of
from app.queries.workflow_versions import read_newest

GRANTS = 50
_NAMED = 3


class Verdict(StrEnum):
    """What became of one grant's requests, worst first."""

    BREAKS = "breaks"
    STILL_BREAKS = "still_breaks"
    CHANGED = "changed"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class TriedGrant:
    """One grant: whom it is for, what became of it, and every difference."""

    grant_id: int
    person: str
    access_level: str
    is_active: bool
    verdict: Verdict
    differences: Sequence[RequestDifference]


@dataclass(frozen=True, slots=True)
class Pattern:
    """One difference over all grants: what, for how many, and an example with its person."""

    kind: DifferenceKind
    what: str
    count: int
    people: Sequence[str]
    example: RequestDifference

    @property
    def others(self) -> int:
        """How many more people there are than are named."""
        return self.count - len(self.people)


@dataclass(frozen=True, slots=True)
class Backtest:
    """The grants, newest first, and what they have in common. `against` is the version compared with, 0 for none."""

    tried: Sequence[TriedGrant]
    findings: Sequence[Pattern]
    against: int
    warnings: Sequence[str]

    @property
    def differing(self) -> list[TriedGrant]:
        """The grants for which anything is different, the worst first."""
        order = list(Verdict)
        found = [one for one in self.tried if one.verdict is not Verdict.SAME]
        return sorted(found, key=lambda one: order.index(one.verdict))

    def count(self, verdict: Verdict) -> int:
        """How many grants came to this."""
        return sum(1 for one in self.tried if one.verdict is verdict)


def backtest(
    session: Session, workflow: Workflow, *, now: datetime, steps: Any = None, version: int | None = None
) -> Backtest:
    """Unsaved `steps` or a version against the last 50 grants, compared with the newest saved version.

    The number of statements does not depend on the number of grants or steps.  Raises Invalid for steps that
    could not be saved; NotFound for a version that there is none of.
    """
    definition, warnings = definition_to_try(session, workflow, steps, version)
    saved = read_newest(session, workflow)
    newest = saved.definition
    if saved.problem:
        warnings = [*warnings, saved.problem]
    grants = _last_grants(session, workflow.application_id)
    samples = samples_of(session, workflow, grants, now=now)
    reach = reachable(session, workflow.application_id, [newest, definition])
    tried: list[TriedGrant] = []
    for grant in grants:
        sample = samples[grant.id]
        old = try_out(newest, sample, reach) if newest.first is not None else None
        new = try_out(definition, sample, reach)
        found = differences(old, new)
        verdict = _verdict(found, is_broken=breaks(old, new, found))
        tried.append(
            TriedGrant(grant.id, grant.user.name, grant.access_level, grant.is_active, verdict, found)
        )
    return Backtest(tried, _findings(tried), workflow.version_number, warnings)


def _last_grants(session: Session, application_id: int) -> Sequence[Grant]:
    statement = (
        select(Grant)
        .where(Grant.application_id == application_id)
        .options(joinedload(Grant.user).lazyload(User.role))
        .order_by(Grant.id.desc())
        .limit(GRANTS)
    )
    return session.scalars(statement).all()


def _verdict(found: list[RequestDifference], *, is_broken: bool) -> Verdict:
    if is_broken:
        return Verdict.BREAKS
    if any(one.kind is not DifferenceKind.STILL_BREAKS for one in found):
        return Verdict.CHANGED
    return Verdict.STILL_BREAKS if found else Verdict.SAME


def _findings(tried: Sequence[TriedGrant]) -> list[Pattern]:
    """The differences that grants share, the worst and then the most frequent first."""
    shared: dict[tuple[DifferenceKind, str], list[tuple[TriedGrant, RequestDifference]]] = {}
    for one in tried:
        for difference in one.differences:
            shared.setdefault((difference.kind, difference.what), []).append((one, difference))
    found = [
        Pattern(kind, what, len(cases), _people(cases), cases[0][1]) for (kind, what), cases in shared.items()
    ]
    order = list(DifferenceKind)
    return sorted(found, key=lambda one: (order.index(one.kind), -one.count))


def _people(cases: Sequence[tuple[TriedGrant, RequestDifference]]) -> list[str]:
    return [one.person for one, _ in cases[:_NAMED]]
