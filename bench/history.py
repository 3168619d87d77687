"""A long history in a few statements: finished runs with their grants, decisions, accounts and attempts."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, func, select, text

from app.extensions import db
from app.models import Run
from bench.console import POSTGRESQL, Console, make_case

APPLICATIONS = 20
RUNS_A_GRANT = 10


def make_history(console: Console, target_url: str, runs: int) -> None:
    """`runs` finished runs with two attempts each, ten a grant; each person has a grant on 20 applications.

    One run in a thousand failed and one in seven of a grant's earlier ones was superseded.
    """
    grants = max(APPLICATIONS, runs // RUNS_A_GRANT)
    people = -(-grants // APPLICATIONS)
    cases = [make_case(console, target_url, people if number == 0 else 0) for number in range(APPLICATIONS)]
    facts = {"first_user": cases[0].user_ids[0], "grants": grants, "runs": runs}
    with console.app.app_context(), db.engine.connect() as connection:
        _unchecked(connection)
        for table in ("applications", "workflows", "workflow_versions"):
            facts[f"first_{table}"] = connection.execute(text(f"SELECT min(id) FROM {table}")).scalar_one()
        for statement in _Series(console.kind == POSTGRESQL).statements():
            connection.execute(text(statement), facts)
            connection.commit()
        if connection.execute(select(func.count(Run.id))).scalar_one() != runs:
            raise RuntimeError("the history is not what it should be")
        connection.invalidate()  # what was switched off for it ends with it
    with console.app.app_context(), db.engine.connect() as connection:
        _settle(connection)


def _unchecked(connection: Connection) -> None:
    """References are known to hold; checking several of them for each of a million rows takes minutes."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET session_replication_role = replica")
        connection.commit()
    else:
        driver.execute("PRAGMA foreign_keys = OFF")
        driver.execute("PRAGMA synchronous = OFF")


def _settle(connection: Connection) -> None:
    """What a database does by itself in time: statistics, and its log written back."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "postgresql":
        driver.autocommit = True
        driver.execute("VACUUM ANALYZE")
        driver.execute("CHECKPOINT")
        driver.autocommit = False
    else:
        driver.execute("ANALYZE")
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class _Series:
    """The statements: grant n is person n / 20's on application n modulo 20, run n is grant n / 10's."""

    def __init__(self, on_postgresql: bool) -> None:
        self._pg = on_postgresql
        self._no = "false" if on_postgresql else "0"

    def statements(self) -> list[str]:
        return [
            self._grants(),
            self._accounts(),
            self._decisions(),
            self._runs(),
            *map(self._attempts, (1, 2)),
        ]

    def _numbers(self, name: str) -> str:
        if self._pg:
            return f"(SELECT n FROM generate_series(0, CAST(:{name} AS bigint) - 1) AS s(n)) AS numbers"
        return (
            "(WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s "
            f"WHERE n + 1 < :{name}) SELECT n FROM s) AS numbers"
        )

    def _at(self, minutes: str) -> str:
        if self._pg:
            return f"timestamptz '2024-01-01 08:00+00' + ({minutes}) * interval '1 minute'"
        return f"strftime('%Y-%m-%d %H:%M:%f000', '2024-01-01 08:00', '+' || ({minutes}) || ' minutes')"

    def _json(self, value: object) -> str:
        written = f"'{json.dumps(value)}'".replace(":", r"\:")
        return f"CAST({written} AS JSONB)" if self._pg else written

    def _object(self, name: str, value: str) -> str:
        return f"{'jsonb_build_object' if self._pg else 'json_object'}('{name}', {value})"

    def _pair(self, number: str) -> str:
        return f"""CAST(:first_user AS BIGINT) + {number} / {APPLICATIONS},
                   CAST(:first_applications AS BIGINT) + {number} % {APPLICATIONS}"""

    def _grants(self) -> str:
        return f"""
            INSERT INTO grants (user_id, application_id, access_level, notes, granted_at, granted_by, state,
                                newest_run_id)
            SELECT {self._pair("n")}, '', '', {self._at("n * 10")}, 'Bench',
                   CASE WHEN n % 100 = 0 THEN 'needs_attention' ELSE 'provisioned' END,
                   (n + 1) * {RUNS_A_GRANT}
            FROM {self._numbers("grants")}"""

    def _accounts(self) -> str:
        return f"""
            INSERT INTO external_accounts (user_id, application_id, captured, state)
            SELECT {self._pair("n")}, {self._object("id", "'u-' || n")}, 'provisioned'
            FROM {self._numbers("grants")}"""

    def _decisions(self) -> str:
        return f"""
            INSERT INTO trigger_decisions (grant_id, trigger, at, outcome, workflow_id, version_id,
                   checks, run_id)
            SELECT n + 1, 'access_granted', {self._at("n * 10")}, 'run',
                   CAST(:first_workflows AS BIGINT) + n % {APPLICATIONS},
                   CAST(:first_workflow_versions AS BIGINT) + n % {APPLICATIONS},
                   {self._json([])}, n * {RUNS_A_GRANT} + 1
            FROM {self._numbers("grants")}"""

    def _runs(self) -> str:
        number = "CAST(n AS TEXT)"
        uid = f"md5({number})" if self._pg else "printf('%032x', n)"
        captured = self._object("create", self._object("id", "'u-' || n"))
        return f"""
            INSERT INTO runs (user_id, application_id, uid, workflow_id, version_id, version_number, grant_id,
                   trigger, policy, sequence, occurred_at, cause, status, attempt, tries, deaths, in_flight,
                   compensating, failure_ignored, captured, attempts_made, fence, holds_lane, failure_class,
                   failure_step, outcome_unknown, created_at, started_at, finished_at, changed_at, revision)
            SELECT {self._pair("g")}, {uid}, CAST(:first_workflows AS BIGINT) + g % {APPLICATIONS},
                   CAST(:first_workflow_versions AS BIGINT) + g % {APPLICATIONS}, 1, g + 1,
                   'access_granted', 'each_grant', n % {RUNS_A_GRANT}, {self._at("n")},
                   'Granted by Bench ' || {number},
                   CASE WHEN n % 1000 = 9 THEN 'failed'
                        WHEN n % {RUNS_A_GRANT} < {RUNS_A_GRANT - 1} AND n % 7 = 0 THEN 'superseded'
                        ELSE 'succeeded' END,
                   1, 1, 0, {self._no}, {self._no}, {self._no}, {captured},
                   {self._json({"create": 1, "group": 1})}, 1, {self._no},
                   CASE WHEN n % 1000 = 9 THEN 'http_5xx' END, CASE WHEN n % 1000 = 9 THEN 'group' END,
                   {self._no}, {self._at("n")}, {self._at("n")}, {self._at("n")}, {self._at("n")}, 3
            FROM (SELECT n, n / {RUNS_A_GRANT} AS g FROM {self._numbers("runs")}) AS each_run"""

    def _attempts(self, number: int) -> str:
        """The first or the second call of every run."""
        step, path = (("create", "/users"), ("group", "/groups/x/members"))[number - 1]
        failed = "n % 1000 = 9" if number == 2 else "1 = 0"
        return f"""
            INSERT INTO attempts (run_id, step_key, step_type, number, tries, of, status, failure_class,
                   http_status, outcome_unknown, compensation, edge, started_at, finished_at, duration_ms,
                   method, host, path_template, fields)
            SELECT n + 1, '{step}', 'http', 1, 1, 1, CASE WHEN {failed} THEN 'failed' ELSE 'succeeded' END,
                   CASE WHEN {failed} THEN 'http_5xx' END, CASE WHEN {failed} THEN 503 ELSE 201 END,
                   {self._no}, {self._no}, 'continue', {self._at("n")}, {self._at("n")}, 12,
                   'POST', 'scim.example', '{path}', {self._json(["userName"])}
            FROM {self._numbers("runs")}"""
