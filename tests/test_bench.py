"""The benchmarks themselves, on a small scale: they count effects truly and their tables have their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import clock
from app.extensions import db
from app.models import Attempt, ExternalAccount, Grant, Run
from bench import backlog, burst, engine, floor, growth, latency, memory, pages
from bench.__main__ import main
from bench.console import POSTGRESQL, SQLITE, make_case, postgresql_url
from bench.history import make_history
from bench.processes import Target, redis_server
from bench.report import Row, Section, at_least, at_most, is_clean, render
from bench.setting import Scale, Setting, percentile

SMALL = Scale(
    runs=20,
    slow_runs=20,
    repetitions=1,
    singles=3,
    idle_seconds=0.2,
    grown_rows={SQLITE: 400, POSTGRESQL: 400},
    page_calls=1,
    backlog=20,
)
each_database = pytest.mark.parametrize(
    "kind",
    [
        SQLITE,
        pytest.param(
            POSTGRESQL,
            marks=[
                pytest.mark.postgres,
                pytest.mark.skipif(
                    postgresql_url() is None, reason="no PostgreSQL: set TEST_DATABASE_URL to a server"
                ),
            ],
        ),
    ],
)


@pytest.fixture(scope="module")
def setting() -> Iterator[Callable[[str], Setting]]:
    target = Target()
    with redis_server() as url:
        yield lambda kind: Setting(target, url, SMALL, (kind,))
    target.stop()


@pytest.mark.slow
@each_database
def test_a_burst_loses_doubles_and_misplaces_nothing(setting: Callable[[str], Setting], kind: str) -> None:
    found = burst.Measured()
    burst.one_shape(setting(kind), (kind, 0.0, 64), 20, found)
    assert len(found.bursts) == len(found.drains) == 1
    for one in (*found.bursts, *found.drains):
        assert (one.effects.lost, one.effects.doubled, one.effects.out_of_order) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("measurement", "names"),
    [
        (
            burst,
            [
                "L=0 ms, 64 in flight",
                "L=200 ms, 64 in flight",
                "L=200 ms, 256 in flight",
                "Runs queued before",
                "Processor a run",
            ],
        ),
        (latency, ["p50", "p95"]),
        (backlog, ["20 runs of a system that takes 5 s", "of a parked connection", "behind 10 lanes"]),
        (memory, ["64 in flight", "256 in flight", "Idle, nothing waiting", "waiting for a person"]),
        (growth, ["400 finished runs"]),
    ],
)
def test_each_measurement_is_clean_and_has_its_rows(
    setting: Callable[[str], Setting], measurement: Any, names: list[str]
) -> None:
    section = measurement.measure(setting(SQLITE))
    assert section.effects == (0, 0, 0)
    told = [row.name for row in section.rows]
    assert [name for name in names if not any(name in one for one in told)] == []
    assert all(row.ours for row in section.rows)


@pytest.mark.slow
def test_every_page_that_can_be_read_is_timed_with_its_statements(setting: Callable[[str], Setting]) -> None:
    given = setting(SQLITE)
    with pages.grown_console(given, SQLITE, pages=True) as (console, _seconds):
        found, _skipped = pages.walk(console, pages.Reader(console), calls=1)
    statements = {one.path: one.statements for one in found}
    assert min(statements["/runs"], statements["/api/v1/runs"], statements["/"]) > 0
    section = pages.measure(given)
    assert all("statements" in row.ours for row in section.rows[:20]), (
        "the slowest by name, the others as one"
    )
    assert any(row.name.startswith("Poll that changed nothing") for row in section.rows)


@each_database
def test_a_history_is_as_long_as_asked_and_holds_together(
    setting: Callable[[str], Setting], kind: str
) -> None:
    with setting(kind).console(kind) as console:
        make_history(console, setting(kind).target.url, 400)
        with console.app.app_context():
            counts = [
                db.session.scalar(select(func.count()).select_from(one)) for one in (Run, Grant, Attempt)
            ]
            strays = db.session.scalar(
                select(func.count(Run.id))
                .join(Grant, Grant.id == Run.grant_id)
                .where((Grant.user_id != Run.user_id) | (Grant.application_id != Run.application_id))
            )
            newest = db.session.scalar(
                select(func.count(Grant.id)).join(
                    Run, (Run.id == Grant.newest_run_id) & (Run.grant_id == Grant.id)
                )
            )
            known = db.session.scalar(select(func.count(ExternalAccount.id)))
            db.session.remove()
    assert (counts, strays, newest, known) == ([400, 40, 800], 0, 40, 40)


def test_the_floor_makes_two_calls_a_pair(setting: Callable[[str], Setting]) -> None:
    target = setting(SQLITE).target
    assert floor.burst(target, 20, 0.0).rate > 0
    assert target.report()["requests"] == 40
    assert len(floor.single(target, 3).delays) == 3


def _called(setting: Callable[[str], Setting], calls: list[tuple[str, str]]) -> dict[str, Any]:
    """What the target tells after these calls: (key, path)."""
    import requests

    target = setting(SQLITE).target
    target.reset()
    for key, path in calls:
        requests.post(target.url + path, json={"value": "u-1"}, headers={"Idempotency-Key": key}, timeout=5)
    return target.report()


def test_the_target_counts_by_key_and_sees_what_comes_out_of_order(setting: Callable[[str], Setting]) -> None:
    in_order = [("a-create", "/users"), ("a-group", "/groups/x/members")]
    told = _called(setting, [*in_order, ("a-group", "/groups/x/members")])
    assert told["counts"] == {"a-create": 1, "a-group": 2}
    assert told["out_of_order"] == []
    assert _called(setting, in_order[::-1])["out_of_order"] == ["a-group"]


def test_effects_hold_the_target_against_the_records(setting: Callable[[str], Setting]) -> None:
    """Two grants whose runs nobody works on: both are lost, whatever else the target was asked."""
    with setting(SQLITE).console(SQLITE) as console:
        case = make_case(console, setting(SQLITE).target.url, 2)
        engine.grant_all(console, case, 1)
        told = _called(setting, [("stranger-create", "/users")])
        found = engine.effects(console, case, told)
        assert (found.lost, found.doubled) == (2, 1)
        uid = _first_uid(console.app)
        told["counts"] = {f"{uid}-create": 3, f"{uid}-group": 1}
        found = engine.effects(console, case, told)
        assert (found.lost, found.doubled) == (2, 2)


def _first_uid(app: Flask) -> str:
    with app.app_context():
        uid: str = db.session.scalars(select(Run.uid).order_by(Run.id).limit(1)).one()
        db.session.remove()
    return uid


def _report(*sections: Section) -> str:
    return render(sections, load_before=(0.1, 0.2, 0.3), database="SQLite")


def test_a_clean_report_begins_with_its_title_and_names_missed_goals() -> None:
    rows = [
        at_least("Burst", 300, 600, 0.5),
        at_least("Slow burst", 299, 600, 0.5),
        at_most("Memory", 91, 90, " MB"),
        Row("Only told", "7"),
    ]
    report = _report(Section("Burst", rows))
    assert report.startswith("# Performance\n")
    assert "| Burst " in report and "0.50" in report
    assert "Goals missed: Slow burst; Memory." in report


def test_a_report_whose_effects_went_wrong_says_so_in_its_first_line() -> None:
    sections = [Section("Burst", [], effects=(0, 2, 0)), Section("Latency", [])]
    assert not is_clean(sections)
    assert (
        _report(*sections).splitlines()[0]
        == "**Effects went wrong: Burst: 0 lost, 2 doubled, 0 out of order.**"
    )


@pytest.mark.parametrize(("effects", "code"), [((0, 0, 0), 0), ((1, 0, 0), 1)])
def test_the_exit_code_is_1_when_an_effect_went_wrong_and_the_report_is_written_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, effects: tuple[int, int, int], code: int
) -> None:
    measured = {"burst": lambda _setting: Section("Burst", [Row("a", "1")], effects=effects)}
    monkeypatch.setattr("bench.__main__.measurements", lambda: measured)
    out = tmp_path / "report.md"
    assert main(["--quick", "--out", str(out)]) == code
    assert "| a " in out.read_text(encoding="utf-8")


def test_an_unknown_measurement_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "burst,luck"])
    assert "there is no measurement luck" in capsys.readouterr().err


def test_percentiles_are_by_nearest_rank() -> None:
    values = [float(number) for number in range(20, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile([3.0], 0.95)) == (10.0, 19.0, 3.0)


def test_times_are_comparable_between_processes(setting: Callable[[str], Setting]) -> None:
    before = SimpleNamespace(wall=clock.now(), delays=floor.single(setting(SQLITE).target, 2).delays)
    assert all(0 < delay < (clock.now() - before.wall).total_seconds() for delay in before.delays)
