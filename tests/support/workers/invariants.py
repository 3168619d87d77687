"""What must hold once everything is at rest, whatever was killed: the target's ledger against the records."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain.states import RunStatus
from app.domain.steps.human.step import HumanStep
from app.domain.steps.registry import Step
from app.domain.workflows.definition import parse_definition
from app.models import Attempt, Grant, ManualTask, Run, TriggerDecision, WorkflowVersion

TOGETHER = "were under way together"
# Both times are those at which their transactions began, and one may have waited for the other's lock.
NO_TIME = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the outside saw, by Idempotency-Key: how many calls arrived, and how many of them took effect."""

    calls: Mapping[str, int]
    effects: Mapping[str, int]


def breaches(
    session: Session, ledger: Ledger, told: Collection[int] = (), *, confirmed: Collection[int] = ()
) -> list[str]:
    """Every broken promise in words; `told` are the grants that somebody was told of. Empty when all is well.

    `confirmed` are the runs that a person had repeat a call, knowing that it may have taken effect.
    """
    runs = {one.id: one for one in session.scalars(select(Run))}
    attempts: dict[tuple[int, str], list[Attempt]] = defaultdict(list)
    for one in session.scalars(select(Attempt).order_by(Attempt.run_id, Attempt.number)):
        attempts[one.run_id, one.step_key].append(one)
    return [
        *_records(session, told),
        *_rest(session, runs),
        *_numbers(runs, attempts),
        *_effects(session, runs, attempts, ledger, confirmed),
        *_lanes(runs, attempts),
    ]


def _records(session: Session, told: Collection[int]) -> Iterator[str]:
    """Grants that were told of are there; every event has one decision, and one run where it says so."""
    there = set(session.scalars(select(Grant.id)))
    yield from (f"grant {one} was told of and is gone" for one in sorted(set(told) - there))
    first = Run.sequence == 0
    twice = select(Run.grant_id).where(first).group_by(Run.grant_id, Run.trigger).having(func.count() > 1)
    yield from (f"grant {one} has two runs of one event" for one in session.scalars(twice))
    without = select(TriggerDecision.grant_id).where(
        TriggerDecision.outcome == "run", TriggerDecision.run_id.not_in(select(Run.id))
    )
    yield from (f"the run that was decided on for grant {one} is missing" for one in session.scalars(without))
    undecided = select(Grant.id).where(Grant.id.not_in(select(TriggerDecision.grant_id)))
    yield from (f"grant {one} has no decision" for one in session.scalars(undecided))


def _rest(session: Session, runs: Mapping[int, Run]) -> Iterator[str]:
    """Nothing moves, nothing is held, and each pause has its one task."""
    pending = Counter(session.scalars(select(ManualTask.run_id).where(ManualTask.status == "pending")))
    for run in runs.values():
        status = RunStatus(run.status)
        if status.moves_by_itself:
            yield f"run {run.id} is still {run.status}"
        if run.in_flight or run.worker or run.holds_lane:
            yield f"run {run.id} is {run.status} and still held"
        wanted = 1 if status is RunStatus.WAITING_MANUAL else 0
        if pending[run.id] != wanted:
            yield f"run {run.id} is {run.status} with {pending[run.id]} pending tasks"


def _numbers(runs: Mapping[int, Run], attempts: Mapping[tuple[int, str], list[Attempt]]) -> Iterator[str]:
    for (run_id, step), tries in attempts.items():
        where = f"run {run_id}, step {step}"
        numbers = [one.number for one in tries]
        if numbers != list(range(1, len(tries) + 1)):
            yield f"{where}: tries are numbered {numbers}"
        if runs[run_id].attempts_made.get(step) != len(tries):
            yield f"{where}: {len(tries)} tries, {runs[run_id].attempts_made.get(step)} counted"
        if any(one.status == "started" for one in tries):
            yield f"{where}: a try never came to an end"


def _effects(
    session: Session,
    runs: Mapping[int, Run],
    attempts: Mapping[tuple[int, str], list[Attempt]],
    ledger: Ledger,
    confirmed: Collection[int],
) -> Iterator[str]:
    """No call without a stored intent, no unflagged repeat, and what says that it succeeded did."""
    steps = _steps(session)
    known: set[str] = set()
    for (run_id, key), tries in attempts.items():
        run = runs[run_id]
        step = steps[run.version_id][key]
        if isinstance(step, HumanStep):
            continue
        mark, where = f"{run.uid}-{key}", f"run {run_id}, step {key}"
        known.add(mark)
        sent = [one for one in tries if one.step_type != "human"]
        # What may be sent twice goes out once more where a kept connection turns out to be closed.
        most = len(sent) * (2 if step.idempotent else 1)
        if ledger.calls.get(mark, 0) > most:
            yield f"{where}: {ledger.calls[mark]} calls left for {len(sent)} tries"
        effects = ledger.effects.get(mark, 0)
        flagged = run_id in confirmed or any(one.outcome_unknown for one in sent)
        done = sum(1 for one in sent if one.status == "succeeded")
        if effects > 1 and not step.idempotent and not flagged:
            yield f"{where}: took effect {effects} times and nobody was told"
        if done > 1 or (done and not effects):
            yield f"{where}: {done} tries succeeded, {effects} effects"
    yield from (f"a call with the key {one} belongs to no try" for one in sorted(set(ledger.calls) - known))


def _steps(session: Session) -> dict[int, dict[str, Step]]:
    found: dict[int, dict[str, Step]] = {}
    for version_id, raw in session.execute(select(WorkflowVersion.id, WorkflowVersion.steps)):
        definition, problems = parse_definition(raw)
        assert definition is not None, problems
        found[version_id] = {one.key: one for one in definition.steps}
    return found


def _lanes(runs: Mapping[int, Run], attempts: Mapping[tuple[int, str], list[Attempt]]) -> Iterator[str]:
    """Of one person's runs on one application, no two had a call under way at the same time."""
    lanes: dict[tuple[int, int], list[tuple[Any, Any, int]]] = defaultdict(list)
    for (run_id, _), tries in attempts.items():
        run = runs[run_id]
        called = [one for one in tries if one.step_type != "human" and one.finished_at is not None]
        lanes[run.user_id, run.application_id] += [
            (one.started_at, one.finished_at, run_id) for one in called
        ]
    for calls in lanes.values():
        calls.sort()
        for (_, end, first), (start, _, second) in pairwise(calls):
            if first != second and end - start > NO_TIME:
                yield f"runs {first} and {second} of one person and application {TOGETHER}"
