"""From decided calls to orders: the connections and credentials as they are now, for many runs at once."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection as DbConnection
from sqlalchemy import select

from app.domain.json_reader import Json
from app.domain.runs.breaker import waiting_words
from app.domain.runs.calls import Order
from app.models import Connection
from app.queries.connections import connections_by_id, host_of
from app.services.advance.recorder import Recorder
from app.services.advance.write_plan import WritePlan


def fill_orders(connection: DbConnection, recorders: Sequence[Recorder], plan: WritePlan) -> dict[int, Order]:
    """Complete the attempts of recorders with a call and return the orders to send after the commit, by run."""
    reachable = connections_by_id(connection, {_connection_id(one) for one in recorders})
    orders: dict[int, Order] = {}
    for recorder in recorders:
        call = recorder.call
        assert call is not None
        target = reachable.get(_connection_id(recorder) or 0)
        if target is not None and target.application_id != recorder.loaded.row.application_id:
            target = None  # steps never borrow the connection of another application
        if call.row is not None:
            plan.started.append(call.row | {"host": host_of(target)})
        orders[recorder.run_id] = Order(
            run_id=recorder.run_id,
            fence=recorder.fence,
            attempt=call.attempt,
            step=call.step,
            idempotency_key=f"{recorder.loaded.row.uid}-{call.step.key}",
            context=recorder.context(),
            connection=target,
            sealed_overrides=call.sealed_overrides,
            known=_known(recorder),
        )
    return orders


def _known(recorder: Recorder) -> dict[str, tuple[Json, str]]:
    """What the values that the step keeps with the account must equal: those that other steps of the run kept by the
    same name, and what is known of the account where the step says that it finds the same one."""
    assert recorder.call is not None
    step, known = recorder.call.step, dict[str, tuple[Json, str]]()
    for name, same in ((rule.name, rule.same) for rule in step.keeps if rule.keep == "account"):
        if same and recorder.account.get(name) not in (None, ""):
            known[name] = recorder.account[name], "what is known of this person's account"
        for other in recorder.loaded.run.definition.steps:
            kept = [rule.name for rule in other.keeps if rule.keep == "account" and other.key != step.key]
            found = recorder.captured.get(other.key, {}).get(name) if name in kept else None
            if found is not None:
                known[name] = found, f"what “{other.name}” found"
    return known


def tell_of_waits(connection: DbConnection, recorders: Sequence[Recorder], plan: WritePlan) -> None:
    """Say on the timelines of runs that begin to wait for which connection, and why."""
    ids = {one.waits_for for one in recorders}
    if not ids:
        return
    names = {
        row.id: row.name
        for row in connection.execute(select(Connection.id, Connection.name).where(Connection.id.in_(ids)))
    }
    for one in recorders:
        assert one.waits_for is not None
        state = one.loaded.states[one.waits_for]
        plan.event(one.run_id, "waits", waiting_words(names.get(one.waits_for, ""), state))


def _connection_id(recorder: Recorder) -> int | None:
    assert recorder.call is not None
    return recorder.call.step.connection_number
