"""Mends taken back that the machine cannot see, each with the test that does; and the plugin that plants them.

Two writers at the very same moment, text that only PostgreSQL refuses, times that add up: other tests see to those.
`pytest -p tests.support.workers.seen_elsewhere` runs these tests with their bugs planted: each must fail.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, select, type_coerce, update

from app.domain.runs import calls
from app.models import ExternalAccount, Run
from app.services import advance, transaction
from app.services.advance import moves, places, write_plan
from app.services.advance.bulk_statements import ManyUpdates


@dataclass(frozen=True, slots=True)
class SeenElsewhere:
    name: str
    plant: Callable[[pytest.MonkeyPatch], None]
    test: str


def _everywhere(patch: pytest.MonkeyPatch, home: Any, name: str, other: Any) -> None:
    """Put `other` in place of the function wherever it was imported to."""
    before = getattr(home, name)
    for module in list(sys.modules.values()):
        if getattr(module, name, None) is before:
            patch.setattr(module, name, other)


def _what_is_known_is_written_whole(patch: pytest.MonkeyPatch) -> None:
    table = ExternalAccount.__table__

    def values(given: Any) -> dict[str, Any]:
        return {
            "captured": type_coerce(given("b_learnt"), table.c.captured.type),
            "run_id": given("b_run"),
            "state": func.coalesce(given("b_state"), table.c.state),
            "updated_at": given("updated_at"),
        }

    whole = ManyUpdates(
        table,
        {"b_user": "user_id", "b_application": "application_id"},
        values,
        columns={"b_run": "run_id", "b_state": "state", "b_learnt": "captured"},
    )
    patch.setattr(write_plan, "_account", whole)


def _a_renewal_asks_for_no_fence(patch: pytest.MonkeyPatch) -> None:
    def renew(connection: Any, holder: Any, *, now: Any, fences: Any) -> list[int]:
        mine = (Run.id.in_(fences), Run.worker == holder.worker)
        connection.execute(update(Run).where(*mine).values(lease_until=now + holder.lease))
        return list(connection.execute(select(Run.id).where(*mine)).scalars())

    _everywhere(patch, advance, "renew", renew)


BUGS = (
    SeenElsewhere(
        "what two runs of a pair learn at the same moment is lost",
        _what_is_known_is_written_whole,
        "tests/services/test_lanes.py::test_what_two_runs_of_a_pair_learn_is_kept_together",
    ),
    SeenElsewhere(
        "a renewal keeps a run for whoever had it before",
        _a_renewal_asks_for_no_fence,
        "tests/services/test_lanes.py::test_a_lease_is_kept_only_for_the_fence_that_the_worker_knows",
    ),
    SeenElsewhere(
        "one slow system has every place of a worker",
        lambda patch: patch.setattr(places.Places, "share", property(lambda self: self.total)),
        "tests/services/test_lanes.py::test_what_a_connection_has_over_its_half_is_not_taken_from_others",
    ),
    SeenElsewhere(
        "a trial that comes to no call holds everybody up",
        lambda patch: patch.setattr(moves, "pass_on", lambda *_of, **_with: []),
        "tests/services/test_trials.py::test_runs_that_leave_without_a_call_hold_nobody_up",
    ),
    SeenElsewhere(
        "what the other side says may be what no database holds",
        lambda patch: patch.setattr(calls, "storable", str),
        "tests/connectors/test_perform.py::test_what_a_redirect_says_can_be_stored",
    ),
    SeenElsewhere(
        "an act that was undone for another is given up",
        lambda patch: patch.setattr(transaction, "_UNDONE_FOR_ANOTHER", ()),
        "tests/services/test_once_more.py::test_an_act_that_was_undone_is_done_once_more",
    ),
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Plant the test's bug for as long as it runs."""
    with pytest.MonkeyPatch.context() as patch:
        for one in BUGS:
            if item.nodeid.partition("[")[0] == one.test:
                one.plant(patch)
        return (yield)
