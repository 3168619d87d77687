"""The crash matrix: a worker dies at each named point, with every kind of step in the air, on each database."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from app.models import Run, RunEvent
from app.services import recovery
from app.services.transaction import transaction
from tests.support.target import Answer, Call, Target
from tests.support.workers.crashing_worker import DIED
from tests.support.workers.processes import PATIENCE, until
from tests.support.workers.world import KINDS, Scene, kill_client

pytestmark = pytest.mark.slow

ALL = tuple(KINDS)
JOINED = [("join", 1, "succeeded", None, False)]
LOST = ("create", 1, "failed", "outcome_unknown", True)
LOST_HARMLESSLY = ("create", 1, "failed", "outcome_unknown", False)
DONE = ("create", 1, "succeeded", None, False)
AGAIN = ("create", 2, "succeeded", None, False)


@dataclass(frozen=True, slots=True)
class Crash:
    """A point, and whether the first step of each run had taken effect when the worker died."""

    point: str
    effect: int = 0

    def __str__(self) -> str:
        return self.point


def crash(scene: Scene, point: str, *kinds: str) -> None:
    """Let a worker die at `point` with runs of these kinds, and another one take over until all is at rest."""
    late = point == "dequeued"
    if not late:
        scene.grant(*kinds)
    worker = scene.crew.start(
        "tests.support.workers.crashing_worker", CRASH_AT=point, CRASH_RUNS=str(len(kinds) or 1)
    )
    if late:
        until(lambda: scene.crew.look(lambda s: scene.crew.has_begun(s, worker)), "the worker has begun")
        scene.grant(*kinds)
    scene.crew.sweeper()
    assert worker.wait(PATIENCE) == DIED, scene.crew.printed(worker)
    scene.crew.worker()
    scene.rest()


def assert_unknown(scene: Scene, effect: int) -> None:
    """What must come out when a worker died between the stored intent and the stored answer of each run."""
    off, ask, resend, idempotent = (scene.came(one) for one in ALL)
    assert (off.status, off.unknown, off.chip) == ("failed", True, "needs_attention")
    assert (off.attempts, off.effects, off.tasks) == ([LOST], effect, [])
    assert (ask.status, ask.chip, ask.tasks) == ("waiting_manual", "waiting", [("pending", True)])
    assert (ask.attempts, ask.effects) == ([LOST, ("create", 2, "waiting", None, False)], effect)
    assert (resend.status, resend.chip, resend.tasks) == ("succeeded", "provisioned", [])
    assert (resend.attempts, resend.effects) == ([LOST, AGAIN, *JOINED], effect + 1)
    assert (idempotent.status, idempotent.unknown) == ("succeeded", False)
    assert (idempotent.attempts, idempotent.effects) == ([LOST_HARMLESSLY, AGAIN, *JOINED], effect + 1)
    assert all("recovered" in one.events for one in (off, ask, resend, idempotent))
    assert max(scene.target.keys().values(), default=0) <= 2


@pytest.mark.parametrize("point", ["dequeued", "claiming"])
def test_before_the_intent_is_stored_a_crash_costs_nothing(scene: Scene, point: str) -> None:
    crash(scene, point, *ALL)
    for kind in ALL:
        came = scene.came(kind)
        assert (came.status, came.unknown, came.chip) == ("succeeded", False, "provisioned")
        assert (came.attempts, came.effects) == ([DONE, *JOINED], 1)
        assert came.events == []


@pytest.mark.parametrize(
    "crash_at", [Crash("intent_stored"), Crash("answered", 1), Crash("result_writing", 1)], ids=str
)
def test_between_intent_and_stored_answer_the_outcome_is_unknown(scene: Scene, crash_at: Crash) -> None:
    crash(scene, crash_at.point, *ALL)
    assert_unknown(scene, crash_at.effect)


@pytest.mark.parametrize("recorded", [True, False], ids=["effect-made", "effect-withheld"])
def test_a_target_that_kills_its_client_leaves_the_outcome_unknown(
    scene: Scene, target: Target, recorded: bool
) -> None:
    killed: list[bool] = []
    gate = threading.Event()

    def answer(call: Call) -> Answer:
        if killed:
            return Answer(200)
        if len(target.calls) == len(ALL):
            killed.append(kill_client(call.port, target))
            gate.set()
        return Answer(201 if recorded else 500, lost=True, gate=gate)

    target.answer = answer
    scene.grant(*ALL)
    scene.crew.sweeper()
    worker = scene.crew.start("app.workers")
    assert worker.wait(PATIENCE) < 0
    assert killed == [True]
    scene.crew.worker()
    scene.rest()
    assert_unknown(scene, int(recorded))


def test_after_the_answer_is_stored_the_run_goes_on_and_repeats_nothing(scene: Scene) -> None:
    crash(scene, "result_stored", *ALL)
    for kind in ALL:
        came = scene.came(kind)
        assert (came.status, came.unknown, came.effects) == ("succeeded", False, 1)
        tries = [("join", 1, "failed", "outcome_unknown", False), ("join", 2, "succeeded", None, False)]
        assert came.attempts == [DONE, *tries]


def test_a_worker_that_dies_during_backoff_leaves_the_next_try_to_another(
    scene: Scene, target: Target
) -> None:
    refused: set[str] = set()

    def answer(call: Call) -> Answer:
        first = call.path == "/Users" and call.key not in refused
        refused.add(call.key)
        return Answer(503 if first else 201)

    target.answer = answer
    crash(scene, "backoff", "ask", "resend")
    for kind in ("ask", "resend"):
        came = scene.came(kind)
        assert (came.status, came.unknown, came.effects) == ("succeeded", False, 1)
        assert came.attempts == [("create", 1, "failed", "http_5xx", False), AGAIN, *JOINED]
        assert came.events == []


@pytest.mark.parametrize(("kind", "deaths"), [("idempotent", 3), ("off", 1)])
def test_a_target_that_always_kills_its_client_stops_the_run(
    sqlite_scene: Scene, target: Target, kind: str, deaths: int
) -> None:
    scene = sqlite_scene

    def answer(call: Call) -> Answer:
        kill_client(call.port, target)
        return Answer(201, lost=True)

    target.answer = answer
    scene.grant(kind)
    scene.crew.sweeper()
    for _ in range(deaths):
        assert scene.crew.start("app.workers").wait(PATIENCE) < 0
    scene.crew.worker()
    scene.rest()
    came = scene.came(kind)
    assert (came.status, came.chip, came.unknown) == ("failed", "needs_attention", kind == "off")
    assert [one[3] for one in came.attempts][-1] == ("worker_lost" if deaths == 3 else "outcome_unknown")
    assert len(came.attempts) == len(target.calls) == deaths
    assert came.events == ["recovered"] * deaths


def test_one_off_values_that_died_with_their_worker_are_missed_and_nothing_is_sent_without_them(
    sqlite_scene: Scene, target: Target
) -> None:
    scene = sqlite_scene
    target.answer = lambda _call: Answer(422)
    first = scene.crew.worker()
    scene.crew.sweeper()
    scene.grant("idempotent")
    scene.rest()
    first.kill()
    first.wait(PATIENCE)
    with scene.app.app_context(), transaction() as session:
        run, keyring = session.get_one(Run, scene.runs["idempotent"]), scene.app.extensions["keyring"]
        recovery.retry(session, scene.admin, run, overrides={"userName": "other"}, keyring=keyring)
    crash(scene, "intent_stored")
    came = scene.came("idempotent")
    assert (came.status, came.effects, len(target.calls)) == ("failed", 0, 1)
    assert [one[3] for one in came.attempts] == ["http_4xx", "outcome_unknown"]
    assert came.events == ["retried", "overrides", "recovered"]
    recovered = select(RunEvent.message).where(RunEvent.kind == "recovered")
    assert "The one-off values are gone" in scene.crew.look(lambda s: s.scalars(recovered).one())
