"""Runs as the engine needs them: one wide statement for many, locked against everybody else who would move them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, String, cast, func, literal_column, select
from sqlalchemy.orm import aliased

from app.clock import zone
from app.domain.grants.trigger import Policy, stale_reason
from app.domain.mapping.context import Subject, context_for
from app.domain.runs.breaker import BreakerState
from app.domain.runs.run import Run as EngineRun
from app.domain.runs.run import World
from app.domain.states import RunStatus, TaskOrigin, Trigger
from app.domain.steps.registry import Step
from app.domain.workflows.definition import Definition
from app.models import (
    Application,
    ConnectionBreaker,
    ExternalAccount,
    Grant,
    Run,
    RunOverride,
    User,
)
from app.models.grant import is_held
from app.queries.workflow_versions import ReadVersion, versions_by_id

_ENGINE_COLUMNS = (
    Run.id,
    Run.uid,
    Run.version_id,
    Run.grant_id,
    Run.application_id,
    Run.user_id,
    Run.trigger,
    Run.policy,
    Run.occurred_at,
    Run.status,
    Run.cursor,
    Run.attempt,
    Run.tries,
    Run.deaths,
    Run.in_flight,
    Run.compensating,
    Run.task_origin,
    Run.failure_ignored,
    Run.outcome_unknown,
    Run.captured,
    Run.attempts_made,
    Run.worker,
    Run.lease_until,
    Run.fence,
    Run.holds_lane,
    Run.waits_for_id,
    Run.let_through_id,
    Run.told_to_wait_at,
    Run.cancel_requested_by,
    Run.started_at,
    Run.revision,
)
_held = aliased(Grant)
# How many active grants the run's person has on its application: with the grant, what `stale_in` goes by.
active_grants = (
    select(func.count())
    .select_from(_held)
    .where(is_held(_held, Run.user_id, Run.application_id))
    .scalar_subquery()
    .label("active_grants")
)
# The connections of the application that are not simply in use, as `number:state` with commas; mostly nothing.
_breakers = (
    select(
        func.aggregate_strings(
            cast(ConnectionBreaker.connection_id, String) + ":" + ConnectionBreaker.state, ","
        )
    )
    .where(
        ConnectionBreaker.application_id == Run.application_id,
        ConnectionBreaker.state != literal_column("'closed'"),
    )
    .scalar_subquery()
)


def runs_with_facts() -> Select[Any]:
    """Every fact that deciding about a run takes, one row a run; callers narrow it and say how to lock."""
    return (
        select(
            *_ENGINE_COLUMNS,
            Grant.access_level,
            Grant.kept,
            Grant.granted_at,
            Grant.expires_at,
            Grant.revoked_at,
            User.email,
            User.first_name,
            User.last_name,
            User.username,
            User.employee_id,
            Application.name.label("application_name"),
            ExternalAccount.captured.label("account"),
            active_grants,
            _breakers.label("breakers"),
            RunOverride.step_key.label("override_step"),
            RunOverride.sealed.label("override_sealed"),
        )
        .join(Grant, Grant.id == Run.grant_id)
        .join(User, User.id == Run.user_id)
        .join(Application, Application.id == Run.application_id)
        .join(
            ExternalAccount,
            (ExternalAccount.user_id == Run.user_id) & (ExternalAccount.application_id == Run.application_id),
            isouter=True,
        )
        .join(RunOverride, RunOverride.run_id == Run.id, isouter=True)
        .order_by(Run.id)
    )


@dataclass(slots=True)
class Loaded:
    """A run's row with the facts around it, and the engine's view of it.

    `states` are those of the application's connections, where they are not closed.  The steps of a run whose
    version cannot be read are not known, which the world says.
    """

    row: Row[Any]
    run: EngineRun
    world: World
    states: dict[int, BreakerState]

    def seen(self, *, may_send: bool, crowded: frozenset[str] = frozenset()) -> World:
        """The world, whether a call that is decided on can be made, and the connections that have no place for it."""
        return replace(self.world, may_send=may_send, crowded=crowded)

    def step(self, key: str | None) -> Step | None:
        """The step of that key, where it is known."""
        definition = self.run.definition
        return definition.step(key) if key is not None and key in definition else None

    def learn(self, changed: Mapping[int, BreakerState]) -> None:
        """Take in what these connections' states have become."""
        self.states = {**self.states, **changed}
        self.world = replace(self.world, parked=_parked(self.states, self.row.let_through_id))

    def connection_id(self) -> int:
        """The number of the connection of the step that the run stands at; 0 where it names none that could be."""
        step = self.step(self.run.cursor if self.run.cursor is not None else self.run.definition.first)
        return (step.connection_number or 0) if step is not None else 0

    def context(self, run: EngineRun) -> Mapping[str, object]:
        """What templates are filled from, with what `run` has learnt since it was loaded."""
        captured, account, kept = dict(self.row.captured), dict(self.row.account or {}), dict(self.row.kept)
        for key, values in run.learnt.items():
            captured[key] = dict(values)
            of_account, of_grant = self.run.definition.kept(key, values)
            account |= of_account
            kept |= of_grant
        return context_for(self.subject(captured, account, kept))

    def subject(
        self, captured: dict[str, Any], account: dict[str, Any], kept: dict[str, Any] | None = None
    ) -> Subject:
        """What templates are filled from, with what has been captured up to now."""
        row = self.row
        return Subject(
            trigger=row.trigger,
            occurred_at=row.occurred_at,
            user_id=row.user_id,
            email=row.email,
            first_name=row.first_name,
            last_name=row.last_name,
            username=row.username,
            employee_id=row.employee_id,
            application_id=row.application_id,
            application_name=row.application_name,
            grant_id=row.grant_id,
            access_level=row.access_level,
            granted_at=row.granted_at,
            expires_at=row.expires_at,
            zone=zone(),
            account=account,
            kept=row.kept if kept is None else kept,
            steps=captured,
        )


def stale_in(run: Any, row: Any) -> str | None:
    """Why the run's intent no longer holds, or None: by its columns, and those of `Grant.revoked_at` and
    `active_grants` in a row."""
    return stale_reason(
        trigger=Trigger(run.trigger),
        policy=Policy(run.policy),
        grant_is_active=row.revoked_at is None,
        active_grants=row.active_grants,
    )


def load(connection: Connection, statement: Select[Any], now: datetime) -> list[Loaded]:
    """Run `statement` (made from `runs_with_facts`) and give the engine's view of each row."""
    rows = connection.execute(statement).all()
    versions = versions_by_id(connection, {row.version_id for row in rows})
    return [_loaded(row, versions[row.version_id], now) for row in rows]


def _loaded(row: Row[Any], version: ReadVersion, now: datetime) -> Loaded:
    states = _states(row.breakers) if row.breakers else {}
    parked = _parked(states, row.let_through_id) if states else frozenset()
    world = _world(row, now, parked, version.problem)
    loaded = Loaded(row, _engine_run(row, version.definition), world, states)
    loaded.world = replace(world, context=loaded.context)
    return loaded


def _states(listed: str) -> dict[int, BreakerState]:
    pairs = (one.partition(":") for one in listed.split(","))
    return {int(number): BreakerState(state) for number, _, state in pairs}


def _parked(states: Mapping[int, BreakerState], let_through_id: int | None) -> frozenset[str]:
    """The connections on which this run may begin no call: while runs go on again, those let through may."""
    return frozenset(
        str(number)
        for number, state in states.items()
        if state.is_parked or (state.lets_through and number != let_through_id)
    )


def _engine_run(row: Row[Any], definition: Definition) -> EngineRun:
    return EngineRun(
        definition=definition,
        status=RunStatus(row.status),
        cursor=row.cursor,
        attempt=row.attempt,
        tries=row.tries,
        deaths=row.deaths,
        in_flight=row.in_flight,
        compensating=row.compensating,
        task=TaskOrigin(row.task_origin) if row.task_origin else None,
        cancel_requested=row.cancel_requested_by is not None,
        failure_ignored=row.failure_ignored,
        unknown=row.outcome_unknown,
        one_off=row.override_step is not None and row.override_step == row.cursor,
        waits_for=str(row.waits_for_id) if row.waits_for_id is not None else None,
        told_to_wait_at=row.told_to_wait_at,
    )


def _world(row: Row[Any], now: datetime, parked: frozenset[str], unreadable: str) -> World:
    # Jitter spreads load; nothing depends on its being hard to guess.
    jitter = random.random()  # noqa: S311
    return World(
        now=now,
        stale=stale_in(row, row),
        attempts_made=row.attempts_made,
        jitter=jitter,
        parked=parked,
        unreadable=unreadable,
    )
