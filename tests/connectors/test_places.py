"""How many calls are out at once, and what becomes of one too many."""

from __future__ import annotations

import threading

import pytest

from app.connectors import places
from app.connectors.egress import EgressPolicy
from app.connectors.messages import Request
from app.connectors.places import FewAtOnce, Places
from app.errors import Busy
from tests.support.connectors.servers import ScriptServer, keep_answering


def test_one_too_many_is_told_after_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "WAIT_SECONDS", 0.05)
    here = Places(2, waiting=1)
    with here.one(), here.one(), pytest.raises(Busy), here.one():
        pytest.fail("there was no place")
    with here.one(), here.one():
        pass


def test_who_waits_gets_the_place_that_becomes_free() -> None:
    here, inside = Places(1, waiting=1), threading.Event()

    def wait() -> None:
        with here.one():
            inside.set()

    with here.one():
        waiting = threading.Thread(target=wait)
        waiting.start()
    assert inside.wait(10)
    waiting.join()


def test_more_than_may_wait_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "WAIT_SECONDS", 60)
    here = Places(1, waiting=0)
    with here.one(), pytest.raises(Busy), here.one():
        pytest.fail("there was no place")


def test_a_place_is_given_back_whatever_happens() -> None:
    here = Places(1, waiting=0)
    with pytest.raises(ZeroDivisionError), here.one():
        raise ZeroDivisionError
    with here.one():
        pass


@pytest.mark.parametrize("asked_for", [True, False])
def test_only_what_somebody_waits_for_takes_a_place(asked_for: bool) -> None:
    here = Places(1, waiting=0)
    client = FewAtOnce(EgressPolicy("127.0.0.1"), here, lambda: asked_for)
    with ScriptServer(keep_answering()) as there, here.one():
        if asked_for:
            with pytest.raises(Busy):
                client.send(Request("GET", there.url))
            assert there.requests == []
        else:
            assert client.send(Request("GET", there.url)).status == 200
    client.close()
