"""The soak in its short form: what can fail does, and every promise is kept."""

from __future__ import annotations

import pytest

from bench.console import POSTGRESQL, SQLITE
from bench.soak import Plan, soak
from tests.support.workers.postgres_cluster import programs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

# Those that are over soon; all of them, for as long as they may last, are for `make soak`.
QUICK = ("worker_killed", "sweeper_killed", "worker_deployed", "redis_flushed", "redis_full", "file_locked")
QUICK += ("backends_ended", "database_read_only", "connections_silent", "worker_paused")
no_server = pytest.mark.skipif(programs() is None, reason="no PostgreSQL programs to start a server with")


@pytest.mark.parametrize("kind", [SQLITE, pytest.param(POSTGRESQL, marks=no_server)])
def test_what_can_fail_does_and_nothing_is_lost_or_repeated_unsaid(kind: str) -> None:
    plan = Plan(runs=60, seconds=15, seed=7, workers=2, sweepers=1, pause=2.0, faults=QUICK)
    report = soak(plan, kind)
    assert report.breaches == []
    assert len(report.told) == 60
    assert report.struck.total() >= 4
    assert report.calls >= 60
