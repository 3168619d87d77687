"""The checks that everything here ends with do see what is wrong: a ledger or a record that was tampered with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app import clock
from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.extensions import db
from app.models import Run
from app.permissions import Actor
from app.services.advance import Move, Moved, advance, claim
from app.services.advance.moves import Holder
from app.services.transaction import transaction
from tests.support.target import Target
from tests.support.workers.invariants import Ledger, breaches
from tests.support.workers.world import Scene

HOLDER = Holder("a worker", timedelta(seconds=30))


@pytest.fixture
def scene(only_sqlite: Flask, admin: Actor) -> Iterator[Scene]:
    """A run whose two steps have succeeded, and what the outside knows of it."""
    target = Target()
    scene = Scene(only_sqlite, admin, target, None)  # type: ignore[arg-type]
    scene.grant("off")
    with only_sqlite.app_context():
        with transaction() as session:
            [moved] = claim(session.connection(), HOLDER, now=clock.now(), ids=None, limit=1)
        while moved.order is not None:
            target.effects[moved.order.idempotency_key] += 1
            moved = answered(moved)
        yield scene
        db.session.remove()


def answered(moved: Moved) -> Moved:
    order = moved.order
    assert order is not None
    signal = m.Answered(order.step.key, order.attempt, Outcome.success(201))
    with transaction() as session:
        [after] = advance(
            session.connection(),
            [Move(order.run_id, signal, order.fence)],
            now=clock.now(),
            holder=HOLDER,
        )
    return after


def found(scene: Scene, calls: dict[str, int], effects: dict[str, int], told: tuple[int, ...] = ()) -> str:
    return " · ".join(breaches(db.session(), Ledger(calls, effects), told))


def test_a_ledger_that_agrees_is_no_breach(scene: Scene) -> None:
    true = dict(scene.target.effects)
    assert found(scene, true, true, tuple(scene.told)) == ""


def test_every_disagreement_is_named(scene: Scene) -> None:
    true = dict(scene.target.effects)
    create = next(one for one in true if one.endswith("-create"))
    assert "1 tries succeeded, 0 effects" in found(scene, true, true | {create: 0})
    assert "took effect 2 times and nobody was told" in found(scene, true, true | {create: 2})
    assert "2 calls left for 1 tries" in found(scene, true | {create: 2}, true)
    assert "belongs to no try" in found(scene, true | {"other-create": 1}, true)
    assert "grant 999 was told of and is gone" in found(scene, true, true, (999,))


def test_a_run_that_still_moves_is_named(scene: Scene) -> None:
    scene.grant("resend")
    run_id = db.session.scalars(select(Run.id).where(Run.status == "queued")).one()
    true = dict(scene.target.effects)
    assert f"run {run_id} is still queued" in found(scene, true, true)
