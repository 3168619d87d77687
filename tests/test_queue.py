"""The bell: an id lies there once, what is wrong is said in words, and a server that was replaced is found."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from rq import Queue
from rq.serializers import JSONSerializer

from app.queue import DRAIN, JOB_TTL_SECONDS, QUEUE_KEY, RunQueue
from app.rates import Rates
from tests.support.own_redis import Forwarder, OwnRedis, fail_over, fill, own_redis
from tests.support.workers.processes import until


@pytest.fixture
def server() -> Iterator[OwnRedis]:
    with own_redis() as server:
        yield server


@pytest.fixture
def store(server: OwnRedis) -> Iterator[redis.Redis]:
    with server.client() as store:
        yield store


def lying(store: redis.Redis) -> list[bytes]:
    return store.lrange(QUEUE_KEY, 0, -1)


def test_an_id_lies_on_the_list_once_however_often_it_is_rung_for(
    server: OwnRedis, store: redis.Redis
) -> None:
    first, second = RunQueue(server.url), RunQueue(server.url)
    assert first.notify([2, 1, 2]) and second.notify([1, 2, 3]) and first.notify(range(1, 4))
    assert lying(store) == [b"run-1", b"run-2", b"run-3"]
    assert first.look().waiting == 3


def test_what_was_taken_is_rung_for_again_and_leaves_nothing_behind(
    server: OwnRedis, store: redis.Redis
) -> None:
    run_queue = RunQueue(server.url)
    run_queue.notify(range(1, 1203))
    drain = store.register_script(DRAIN)
    first = store.blpop([QUEUE_KEY])
    assert first is not None and first[1] == b"run-1"
    assert drain(keys=[QUEUE_KEY], args=[1000, first[1]]) == [b"run-%d" % one for one in range(2, 1002)]
    assert len(drain(keys=[QUEUE_KEY], args=[1000])) == 201
    assert (drain(keys=[QUEUE_KEY], args=[1000]), store.keys("rq:job:*")) == ([], [])
    run_queue.notify([1])
    assert lying(store) == [b"run-1"]


def test_rq_s_own_tools_read_the_queue(server: OwnRedis, store: redis.Redis) -> None:
    RunQueue(server.url).notify([7])
    [queue] = Queue.all(connection=store, serializer=JSONSerializer)
    [job] = queue.jobs
    assert (queue.name, job.id, job.func_name, job.args) == (
        "runs",
        "run-7",
        "app.workers.jobs.advance_run",
        [7],
    )
    assert job.get_status() == "queued" and job.enqueued_at is not None
    assert 0 < store.ttl("rq:job:run-7") <= JOB_TTL_SECONDS


def test_an_id_that_could_not_be_put_on_the_list_is_not_taken_for_one_that_lies_there(
    server: OwnRedis, store: redis.Redis
) -> None:
    store.set(QUEUE_KEY, "somebody else's")
    assert not RunQueue(server.url).notify([1])
    store.delete(QUEUE_KEY)
    assert RunQueue(server.url).notify([1])
    assert lying(store) == [b"run-1"]


@pytest.mark.parametrize(
    ("spoil", "what", "answers"),
    [
        (lambda _server, store: store.replicaof("127.0.0.1", "1"), "takes no writes: it is a replica", True),
        (lambda _server, store: fill(store), "is full and refuses writes", True),
        (lambda _server, store: store.set(QUEUE_KEY, "x"), "holds something else under rq:queue:runs", True),
        (lambda _server, store: store.config_set("requirepass", "s"), "does not take the name or", True),
        (lambda server, _store: server.process.send_signal(signal.SIGSTOP), "does not answer within", False),
        (lambda server, _store: server.process.kill(), "does not answer", False),
    ],
    ids=["replica", "full", "wrong type", "password", "hangs", "gone"],
)
def test_what_is_wrong_is_said_in_words(
    server: OwnRedis,
    store: redis.Redis,
    spoil: Callable[[OwnRedis, redis.Redis], object],
    what: str,
    answers: bool,
) -> None:
    assert RunQueue(server.url).look().problem is None
    spoil(server, store)
    found = RunQueue(server.url).look()
    assert found.waiting is None and found.problem is not None
    assert found.problem.what.startswith(what) and found.problem.answers is answers
    assert found.problem.todo.endswith(".")
    assert not RunQueue(server.url).notify([1])


def test_without_a_server_nothing_raises(tmp_path: Path) -> None:
    run_queue = RunQueue(f"unix://{tmp_path}/nobody.sock")
    assert not run_queue.notify([1])
    assert run_queue.remembered_sweep("uid") is None
    assert run_queue.notify([])


@pytest.fixture
def forwarder(server: OwnRedis) -> Iterator[Forwarder]:
    forwarder = Forwarder(server)
    yield forwarder
    forwarder.close()


def test_a_ring_finds_the_successor_of_a_server_that_keeps_its_connections(forwarder: Forwarder) -> None:
    run_queue = RunQueue(forwarder.url)
    assert run_queue.notify([1])
    with own_redis() as successor, successor.client() as store:
        fail_over(forwarder, successor)
        assert not run_queue.notify([2])
        until(lambda: run_queue.notify([2]), "the bell is heard by the successor")
        assert lying(store) == [b"run-2"]


def test_a_look_finds_the_successor_too(forwarder: Forwarder) -> None:
    run_queue = RunQueue(forwarder.url)
    assert run_queue.look().problem is None
    with own_redis() as successor:
        fail_over(forwarder, successor)
        assert run_queue.look().problem is not None
        assert run_queue.look().problem is None


def test_the_pace_goes_on_at_the_successor(forwarder: Forwarder) -> None:
    rates = Rates(forwarder.url)
    assert rates.take(1, 100) is not None
    with own_redis() as successor, successor.client() as store:
        fail_over(forwarder, successor)
        until(lambda: rates.take(1, 100) is not None and store.exists("rate:1"), "the pace is kept there")
