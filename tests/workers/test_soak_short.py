"""The soak in its short form: killed workers and an emptied Redis, and every promise is kept."""

from __future__ import annotations

import pytest

from bench.setting import kinds_here
from bench.soak import Plan, soak

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_killed_workers_and_a_flushed_redis_lose_nothing_and_repeat_nothing_unsaid() -> None:
    report = soak(Plan(runs=60, seconds=8, seed=7, workers=2, flushes=1), kinds_here()[0])
    assert report.breaches == []
    assert (report.flushes, len(report.told)) == (1, 60)
    assert report.kills >= 3
    assert report.calls > 60
