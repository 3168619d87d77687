"""The one place where runs move: signals in, rows and orders out, many runs in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, or_, select, tuple_, update

from app.database import writes_alone
from app.domain.runs import signals as m
from app.domain.runs.breaker import BreakerState, matters, seen
from app.domain.runs.calls import Order
from app.domain.runs.decide import decide
from app.domain.runs.run import evolve
from app.domain.states import RunStatus
from app.models import Credential
from app.models.run import Run, is_moving, is_new
from app.queries.run_facts import Loaded, load, runs_with_facts
from app.queries.workflow_versions import UnreadableVersion
from app.services.advance.breakers import CallOutcome, observe_all
from app.services.advance.orders import fill_orders, tell_of_waits
from app.services.advance.owners import believed
from app.services.advance.places import Places
from app.services.advance.recorder import Recorder
from app.services.advance.releases import pass_on
from app.services.advance.write_plan import WritePlan


@dataclass(frozen=True, slots=True)
class CredentialUse:
    """The credential that was entered for a connection at `set_at` was used, and taken or refused."""

    connection_id: int
    set_at: datetime
    accepted: bool


@dataclass(frozen=True, slots=True)
class Move:
    """A signal for a run. `fence` is given by workers: the move is void when the run is no longer theirs.

    `duration_ms` and `credential_use` belong to an answer: how long its call took, and whose word it went on.
    One that is `bare` tells nothing but itself: neither the credential nor the connection's breaker hears of it.
    """

    run_id: int
    signal: m.Signal
    fence: int | None = None
    duration_ms: int | None = None
    credential_use: CredentialUse | None = None
    is_bare: bool = False

    def bare(self) -> Move:
        """The same move with as little as can be written of it."""
        signal = self.signal
        if isinstance(signal, m.Answered):
            signal = replace(signal, outcome=signal.outcome.bare())
        return replace(self, signal=signal, credential_use=None, is_bare=True)


@dataclass(slots=True)
class Moved:
    """What became of one move. `applied` is False when the signal no longer mattered; `fence` is the move's own."""

    run_id: int
    status: RunStatus
    applied: bool
    order: Order | None = None
    due_at: datetime | None = None
    fence: int | None = None
    wake: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Holder:
    """The worker on whose behalf runs move, and for how long they are its own.

    One that no longer `takes_more` records answers and leaves the next call to others.  `places` bound its calls;
    None sets no bound.
    """

    worker: str
    lease: timedelta
    takes_more: bool = True
    places: Places | None = None


def advance(
    connection: Connection, moves: Sequence[Move], *, now: datetime, holder: Holder | None = None
) -> list[Moved]:
    """Let each signal move its run: rows, timeline and orders, in the caller's transaction.

    `now` is the database's time.  Without a `holder` (a person's act) no call is ordered: runs that may go on
    become due for a worker.  At most one move a run.  Returns one `Moved` a move, in the same order; a run that
    does not exist gives `applied=False` with status `cancelled`.

    Raises LostRace when a run changed under the guarded writes.
    """
    ids = [move.run_id for move in moves]
    statement = runs_with_facts().where(Run.id.in_(ids)).with_for_update(of=Run, key_share=True)
    loaded = {one.row.id: one for one in load(connection, statement, now)}
    return apply(connection, [(move, loaded.get(move.run_id)) for move in moves], now=now, holder=holder)


def apply(
    connection: Connection,
    pairs: Sequence[tuple[Move, Loaded | None]],
    *,
    now: datetime,
    holder: Holder | None,
) -> list[Moved]:
    """As `advance`, for runs that were loaded and locked already."""
    plan = WritePlan(now)
    signals = believed(connection, [(move.signal, loaded) for move, loaded in pairs])
    pairs = [
        (move if move.signal is signal else replace(move, signal=signal), loaded)
        for (move, loaded), signal in zip(pairs, signals, strict=True)
    ]
    _hear(connection, pairs, now)
    moved: list[Moved] = []
    recorders: list[Recorder] = []
    waiting: list[Recorder] = []
    freed: set[tuple[int, int]] = set()
    for move, loaded in pairs:
        if loaded is None:
            moved.append(Moved(move.run_id, RunStatus.CANCELLED, applied=False, fence=move.fence))
            continue
        recorder = Recorder(loaded, plan, holder.worker if holder else None)
        result = _move_one(move, loaded, recorder, now, holder)
        if recorder.call is not None:
            recorders.append(recorder)
            if holder is not None and holder.places is not None:
                holder.places.take(recorder.call.step.connection_number or 0)
        if recorder.waits_for is not None:
            waiting.append(recorder)
        if recorder.frees_lane:
            freed.add((loaded.row.user_id, loaded.row.application_id))
        if recorder.stops_here:
            plan.stopped[loaded.row.id] = (loaded.row.user_id, loaded.row.application_id)
        moved.append(result)
    orders = fill_orders(connection, recorders, plan)
    tell_of_waits(connection, waiting, plan)
    plan.flush(connection)
    _note_uses(connection, {move.credential_use for move, _ in pairs if move.credential_use}, now)
    woken = _next_in_lanes(connection, freed, now)
    woken += pass_on(connection, _untold_trials(pairs), now=now)
    for result in moved:
        result.order = orders.get(result.run_id)
    if moved:
        moved[0].wake = woken
    _end_overtaken(connection, plan.stopped, moved, now)
    return moved


def _end_overtaken(
    connection: Connection, stopped: Collection[int], moved: Sequence[Moved], now: datetime
) -> None:
    """End runs that came to a stop in this transaction while their intent went stale in another.

    Whoever decided about the person's access passed over these runs, since they were locked here, and what was
    read of the grant then is old by now.  Their pairs are locked since, so what is read now holds until the commit.
    """
    if not stopped or writes_alone(connection):
        return
    loaded = load(connection, runs_with_facts().where(Run.id.in_(sorted(stopped))), now)
    stale = [(Move(one.row.id, m.Supersede()), one) for one in loaded if one.world.stale is not None]
    by_id = {one.run_id: one for one in moved}
    for ended in apply(connection, stale, now=now, holder=None) if stale else []:
        before = by_id[ended.run_id]
        before.status, before.due_at = ended.status, ended.due_at
        before.wake = [*before.wake, *ended.wake]


def resume(connection: Connection, loaded: Sequence[Loaded], *, now: datetime, holder: Holder) -> list[Moved]:
    """The orders of calls that are written as started and known not to have left."""
    plan = WritePlan(now)
    recorders = [Recorder(one, plan, holder.worker) for one in loaded if one.run.in_flight]
    for recorder in recorders:
        recorder.resume(recorder.loaded.run)
    orders = fill_orders(connection, [one for one in recorders if one.call is not None], plan)
    return [Moved(run_id, RunStatus.RUNNING, applied=True, order=order) for run_id, order in orders.items()]


def _move_one(move: Move, loaded: Loaded, recorder: Recorder, now: datetime, holder: Holder | None) -> Moved:
    row, run = loaded.row, loaded.run
    if move.fence is not None and move.fence != row.fence:
        recorder.note_late(move.signal)
        return Moved(row.id, run.status, applied=False, fence=move.fence)
    if loaded.world.unreadable and isinstance(move.signal, m.TaskActed):
        raise UnreadableVersion(loaded.world.unreadable)
    crowded = holder.places.crowded() if holder is not None and holder.places is not None else frozenset()
    may_send = holder is not None and holder.takes_more
    events = decide(run, move.signal, loaded.seen(may_send=may_send, crowded=crowded))
    if not events:
        return Moved(row.id, run.status, applied=False, fence=move.fence)
    for event in events:
        run = evolve(run, event)
        recorder.record(event, run, move)
    # A new number for whoever works on it next: what a former holder still sends is late.
    changes_hands = isinstance(move.signal, m.Proceed | m.WorkerLost)
    due = _due(run, events, now, in_flight=run.in_flight)
    recorder.finish(
        run,
        due_at=due,
        lease_until=_lease(row, now, holder) if run.in_flight else None,
        fence=row.fence + 1 if changes_hands else row.fence,
    )
    return Moved(row.id, run.status, applied=True, due_at=due, fence=move.fence)


def _lease(row: Any, now: datetime, holder: Holder | None) -> datetime | None:
    """Until when a run in flight stays its worker's: what a person does to it neither ends nor prolongs that."""
    return now + holder.lease if holder is not None else row.lease_until


def _hear(connection: Connection, pairs: Sequence[tuple[Move, Loaded | None]], now: datetime) -> None:
    """Let breakers hear what calls came to, before anything is decided: what trips one costs no run a try."""
    outcomes: list[CallOutcome] = []
    for move, loaded in pairs:
        if loaded is None or move.is_bare:
            continue
        if isinstance(move.signal, m.Answered) and _is_awaited(move, loaded):
            what, connection_id = seen(move.signal.outcome), loaded.connection_id()
            state = loaded.states.get(connection_id, BreakerState.CLOSED)
            if what is not None and matters(state, what):
                outcomes.append(CallOutcome(connection_id, move.run_id, what, move.signal.outcome))
    observed = observe_all(connection, outcomes, now)
    if observed.states:
        for _, loaded in pairs:
            if loaded is not None and loaded.row.id not in observed.blamed:
                loaded.learn(observed.states)


def _untold_trials(pairs: Sequence[tuple[Move, Loaded | None]]) -> set[int]:
    """The connections whose trial's run may have left with nothing sent. What was sent is the sweeper's matter."""
    return {
        loaded.row.let_through_id
        for move, loaded in pairs
        if loaded is not None
        and loaded.states.get(loaded.row.let_through_id) is BreakerState.TRIAL
        and not (isinstance(move.signal, m.Answered) and move.signal.outcome.http_status)
    }


def _is_awaited(move: Move, loaded: Loaded) -> bool:
    assert isinstance(move.signal, m.Answered)
    run = loaded.run
    ours = move.fence is None or move.fence == loaded.row.fence
    return ours and run.in_flight and (run.cursor, run.attempt) == (move.signal.step, move.signal.attempt)


def _due(run: Any, events: list[m.Event], now: datetime, *, in_flight: bool) -> datetime | None:
    """When a worker may next take the run: never while it is over, waits, or is being worked on."""
    if in_flight or run.waits_for is not None or not run.status.moves_by_itself:
        return None
    return next((one.due for one in reversed(events) if isinstance(one, m.RetryScheduled)), now)


def _note_uses(connection: Connection, uses: set[CredentialUse], now: datetime) -> None:
    """One that has been replaced meanwhile is let alone: what is said of it is about the old value."""
    for use in sorted(uses, key=lambda one: one.connection_id):
        connection.execute(
            update(Credential)
            .where(Credential.connection_id == use.connection_id, Credential.set_at == use.set_at)
            .values(last_used_at=now, last_ok=use.accepted)
        )


def _next_in_lanes(connection: Connection, lanes: set[tuple[int, int]], now: datetime) -> list[int]:
    """Runs that waited for their turn behind one that has just left its lane."""
    if not lanes:
        return []
    statement = select(Run.id).where(
        tuple_(Run.user_id, Run.application_id).in_(sorted(lanes)),
        is_moving(Run.status),
        or_(is_new(), Run.due_at <= now),
    )
    return list(connection.execute(statement).scalars())
