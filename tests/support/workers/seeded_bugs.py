"""What the machine once did, planted again: each with the shortest sequence of acts that shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import and_, or_
from sqlalchemy.exc import InterfaceError, OperationalError

from app import clock
from app.domain.states import RunStatus
from app.models.run import Run, is_moving
from app.queries import run_facts, situation
from app.queries.run_facts import load, runs_with_facts
from app.services import decisions, recovery
from app.services.advance import claims
from app.services.advance.moves import Moved, resume
from app.services.advance.recorder import Recorder
from app.workers import journal, sweeper
from app.workers.in_flight import InFlight
from app.workers.journal import Journal
from app.workers.steadiness import Steadiness
from tests.support.workers import machine_processes

Acts = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class SeededBug:
    """A mend taken back, and the acts by which that is seen."""

    name: str
    plant: Callable[[pytest.MonkeyPatch], None]
    acts: Acts


def _older_before_the_holder(patch: pytest.MonkeyPatch) -> None:
    def is_ahead_of(other: Any, run: Any) -> Any:
        same = (other.user_id == run.user_id, other.application_id == run.application_id, other.id != run.id)
        return and_(*same, is_moving(other.status), or_(other.holds_lane, other.id < run.id))

    patch.setattr(claims, "is_ahead_of", is_ahead_of)


def _a_person_takes_the_worker_away(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Recorder, "_keeper", property(lambda self: self.worker))


def _only_two_errors_are_outages(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journal, "database_is_away", lambda it: isinstance(it, OperationalError | InterfaceError))
    _a_refused_entry_is_dropped(patch)


def _a_refused_entry_is_dropped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "_refused", lambda *_of: None)


def _any_answer_lets_go(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(InFlight, "release", lambda self, run_id, _fence: self._held.pop(run_id, None))


def _orders_never_expire(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(InFlight, "is_ours", lambda *_of: True)


def _a_lease_counts_from_the_commits_end(patch: pytest.MonkeyPatch) -> None:
    hold = InFlight.hold
    patch.setattr(InFlight, "hold", lambda self, order, _began: hold(self, order, clock.elapsed()))


def _adopted(connection: Any, holder: Any, *, now: Any, found: Any) -> list[Moved]:
    return resume(connection, load(connection, found, now), now=now, holder=holder)


def _adopts_while_runs_are_held(patch: pytest.MonkeyPatch) -> None:
    def adopt(connection: Any, holder: Any, *, now: Any, in_doubt: Any) -> list[Moved]:
        found = runs_with_facts().where(Run.worker == holder.worker, Run.id.in_(in_doubt))
        return _adopted(connection, holder, now=now, found=found)

    patch.setattr(journal, "adopt", adopt)


def _adopts_whatever_is_its_own(patch: pytest.MonkeyPatch) -> None:
    def adopt(connection: Any, holder: Any, *, now: Any, in_doubt: Any) -> list[Moved]:
        return _adopted(
            connection, holder, now=now, found=runs_with_facts().where(Run.worker == holder.worker)
        )

    patch.setattr(journal, "adopt", adopt)


def _nobody_looks_back(patch: pytest.MonkeyPatch) -> None:
    for module in (sweeper, machine_processes):
        patch.setattr(module, "hold_if_restored", lambda _app: None)


def _one_in_backoff_is_never_overtaken(patch: pytest.MonkeyPatch) -> None:
    fewer = tuple(one for one in situation.SUPERSEDABLE if one is not RunStatus.RUNNING)
    patch.setattr(decisions, "SUPERSEDABLE", fewer)


def _a_lapsed_lease_is_a_death(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Steadiness, "is_steady", property(lambda _self: True))


def _one_bad_version_stops_all(patch: pytest.MonkeyPatch) -> None:
    loaded = run_facts._loaded

    def refuse(row: Any, version: Any, now: Any) -> Any:
        version.required()
        return loaded(row, version, now)

    patch.setattr(run_facts, "_loaded", refuse)
    _a_refused_entry_is_dropped(patch)


def _an_answered_create_is_repeated_unasked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "confirmation", lambda run, _step: "Sure?" if run.outcome_unknown else "")


def _nobody_rings_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sweeper, "overdue", lambda *_of, **_with: [])


CALLED: Acts = (("grant", 0, 0), ("hear", 0), ("write", 0), ("call", 0, 0))
# A worker has the order of a call that may be repeated, and has not begun to make it.
JOINING: Acts = (*CALLED, ("answer", 0), ("write", 0))

BUGS = (
    SeededBug(
        "a run that comes back stops the one that holds the lane",
        _older_before_the_holder,
        (("grant", 0, 0), ("work", 0, "refused"), ("grant", 0, 0), ("work", 0, "broken"), ("retry", 0)),
    ),
    SeededBug(
        "Cancel takes a call from its worker",
        _a_person_takes_the_worker_away,
        (*CALLED, ("cancel", 0), ("kill", 0)),
    ),
    SeededBug(
        "an answer that meets a read-only database is dropped",
        _only_two_errors_are_outages,
        (*CALLED, ("read_only", 3.0), ("answer", 0), ("write", 0)),
    ),
    SeededBug(
        "an answer that cannot be written is dropped",
        _a_refused_entry_is_dropped,
        (*CALLED, ("answer", 0), ("refused", 0, 2), ("write", 0)),
    ),
    SeededBug(
        "a late answer lets go of the lease of the present call",
        _any_answer_lets_go,
        (
            *JOINING,
            ("call", 0, 0),
            ("kill", 1),
            ("pause", 1),
            ("pause", 0),
            ("lives", 60.0),
            ("wake", 0),
            ("hear", 0),
            ("write", 0),
            ("answer", 0),
            ("write", 0),
        ),
    ),
    SeededBug(
        "a paused worker makes a call that it lost",
        _orders_never_expire,
        (
            ("grant", 0, 0),
            ("hear", 0),
            ("write", 0),
            ("pause", 0),
            ("lives", 60.0),
            ("wake", 0),
            ("call", 0, 0),
            ("call", 1, 0),
        ),
    ),
    SeededBug(
        "a lease counts from when the worker hears of its commit",
        _a_lease_counts_from_the_commits_end,
        (
            ("grant", 0, 0),
            ("hear", 0),
            ("pause_in_commit", 0),
            ("write", 0),
            ("lives", 60.0),
            ("wake", 0),
            ("call", 0, 0),
            ("call", 1, 0),
        ),
    ),
    SeededBug(
        "a restored database has calls sent again",
        _adopts_while_runs_are_held,
        (
            ("lives", 5.0),
            ("grant", 0, 0),
            ("hear", 0),
            ("commit_fails", 0, True),
            ("write", 0, ("away", "worker-1", 3.0), ("back_up",), ("sweep",), ("restore",)),
            ("work", 0),
        ),
    ),
    SeededBug(
        "a restore goes unnoticed",
        _nobody_looks_back,
        (
            ("lives", 5.0),
            ("grant", 0, 0),
            ("hear", 0),
            ("write", 0),
            ("back_up",),
            ("call", 0, 0),
            ("answer", 0),
            ("work", 0),
            ("lives", 5.0),
            ("restore",),
            ("sweep",),
            ("work", 0),
        ),
    ),
    SeededBug(
        "a worker in doubt takes up whatever is its own",
        _adopts_whatever_is_its_own,
        (
            *CALLED,
            ("answer", 0),
            ("refused", 0, 5),
            ("write", 0),
            ("grant", 1, 0),
            ("hear", 0),
            ("commit_fails", 0, True),
            ("write", 0),
            ("work", 0),
        ),
    ),
    SeededBug(
        "a revoke waits behind a run that does nothing",
        _one_in_backoff_is_never_overtaken,
        (("grant", 0, 0), ("work", 0, "broken"), ("revoke", 0, 0)),
    ),
    SeededBug(
        "a clock that is set makes living workers dead",
        _a_lapsed_lease_is_a_death,
        (
            ("lives", 30.0),
            ("grant", 0, 0),
            ("hear", 0),
            ("write", 0),
            ("clock_jumps", 60.0),
            ("sweep", 0),
            ("call", 0, 0),
        ),
    ),
    SeededBug(
        "after an outage living workers are dead",
        _a_lapsed_lease_is_a_death,
        (
            ("lives", 30.0),
            *CALLED,
            ("away", "everybody", 30.0),
            ("passes", 31.0),
            ("sweep", 0),
            ("answer", 0),
            ("write", 0),
            ("asks_nobody",),
        ),
    ),
    SeededBug(
        "a version that cannot be read stops everybody",
        _one_bad_version_stops_all,
        (("grant", 0, 1), ("damage",), ("revoke", 0, 1), ("grant", 1, 0), ("work", 0)),
    ),
    SeededBug(
        "a create that was answered is sent again, and nobody is asked",
        _an_answered_create_is_repeated_unasked,
        (("grant", 0, 0), ("work", 0, "done, and the id is missing"), ("retry", 0, False), ("work", 0)),
    ),
    SeededBug(
        "a bell that was lost is never rung again",
        _nobody_rings_again,
        (("work", 0), ("work", 1), ("grant", 0, 0), ("bells_lost",)),
    ),
)
