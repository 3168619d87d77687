"""The queue is only a bell: whatever becomes of Redis, grants reach the outside all the same."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
import redis
from rq import Worker as RqWorker

from app.queue import QUEUE_KEY, RunQueue
from tests.support.own_redis import Forwarder, OwnRedis, fail_over, fill, own_redis
from tests.support.target import Target
from tests.support.workers.processes import Crew, until
from tests.support.workers.world import Scene

pytestmark = [pytest.mark.slow, pytest.mark.sqlite_only]

# Far above what a call takes on a busy machine, and below the time at which a worker asks by itself.
SOON = 40.0
SELDOM = {"SWEEP_SECONDS": "60"}


@pytest.fixture
def scene(sqlite_scene: Scene) -> Scene:
    return sqlite_scene


@pytest.fixture
def store(crew: Crew) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(f"unix://{crew.socket}") as store:
        yield store


def reaches_the_outside(scene: Scene, kind: str, seconds: float = SOON) -> None:
    """A grant made now comes to its end, before anybody asks the database by himself."""
    scene.grant(kind)
    until(lambda: scene.came(kind).status == "succeeded", f"{kind} succeeds", seconds)


def test_thousands_of_stale_ids_keep_no_grant_waiting(scene: Scene, store: redis.Redis) -> None:
    run_queue: RunQueue = scene.app.extensions["run_queue"]
    scene.crew.worker(**SELDOM)
    reaches_the_outside(scene, "off")
    run_queue.notify(range(1_000_000, 1_005_000))
    reaches_the_outside(scene, "ask")
    until(lambda: store.llen(QUEUE_KEY) == 0, "they are taken")
    assert store.keys("rq:job:*") == []


@contextlib.contextmanager
def full(crew: Crew, store: redis.Redis) -> Iterator[None]:
    fill(store)
    yield


@contextlib.contextmanager
def replica(crew: Crew, store: redis.Redis) -> Iterator[None]:
    store.replicaof("127.0.0.1", "1")
    yield


@contextlib.contextmanager
def wrong_type(crew: Crew, store: redis.Redis) -> Iterator[None]:
    store.set(QUEUE_KEY, "somebody else's")
    yield


@contextlib.contextmanager
def hangs(crew: Crew, store: redis.Redis) -> Iterator[None]:
    with crew.hung_redis():
        yield


@contextlib.contextmanager
def gone(crew: Crew, store: redis.Redis) -> Iterator[None]:
    crew.stop_redis()
    yield


@contextlib.contextmanager
def deaf(crew: Crew, store: redis.Redis) -> Iterator[None]:
    """Every bell is lost, and nobody notices."""
    crew.app.extensions["run_queue"] = RunQueue("unix:///nowhere/redis.sock")
    yield


@pytest.mark.parametrize("fault", [full, replica, wrong_type, hangs, gone, deaf])
def test_without_a_sweeper_an_idle_worker_asks_the_database_whatever_redis_does(
    scene: Scene,
    store: redis.Redis,
    fault: Callable[[Crew, redis.Redis], contextlib.AbstractContextManager[None]],
) -> None:
    scene.crew.worker()
    reaches_the_outside(scene, "off")
    with fault(scene.crew, store):
        reaches_the_outside(scene, "ask")


def test_a_worker_whose_sign_of_life_redis_refuses_works_and_takes_what_lies_there(
    scene: Scene, store: redis.Redis
) -> None:
    run_queue: RunQueue = scene.app.extensions["run_queue"]
    store.set("rq:workers", "not the set that RQ keeps its workers in")
    scene.crew.worker(**SELDOM)
    reaches_the_outside(scene, "off")
    run_queue.notify(range(1_000_000, 1_000_040))
    fill(store)
    until(lambda: store.llen(QUEUE_KEY) == 0, "a full Redis is emptied")


def test_bells_are_heard_at_the_successor_of_a_server_that_keeps_its_connections(
    scene: Scene, target: Target
) -> None:
    with own_redis() as first, own_redis() as second, leading_to(first) as forwarder:
        scene.app.extensions["run_queue"] = run_queue = RunQueue(forwarder.url)
        scene.crew.worker(REDIS_URL=forwarder.url, **SELDOM)
        reaches_the_outside(scene, "off")
        fail_over(forwarder, second)
        until(lambda: run_queue.look().problem is None, "the console finds the successor")
        with second.client() as store:
            until(lambda: RqWorker.all(connection=store), "the worker finds the successor")
        reaches_the_outside(scene, "ask")


@contextlib.contextmanager
def leading_to(server: OwnRedis) -> Iterator[Forwarder]:
    forwarder = Forwarder(server)
    try:
        yield forwarder
    finally:
        forwarder.close()
