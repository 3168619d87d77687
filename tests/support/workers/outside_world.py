"""The outside as a judge: accounts by person, what each call did, in which order; it answers as it is told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from app.connectors.http import HttpClient
from app.connectors.messages import CallFailed, NoLongerWanted, Reply, Request
from app.domain.states import FailureClass as F
from tests.support.workers.invariants import Ledger

BASE = "https://outside.example"
# Does the call take effect, and what comes back: a status with headers and body, or how it failed and whether lost.
FATES: dict[str, tuple[bool, int | F, dict[str, str], bool]] = {
    "done": (True, 201, {}, False),
    "broken": (False, 503, {}, False),
    "refused": (False, 422, {}, False),
    "gone": (False, 404, {}, False),
    "later": (False, 429, {"Retry-After": "600"}, False),
    "lost, but done": (True, F.TIMEOUT, {}, True),
    "lost, and not done": (False, F.NETWORK, {}, True),
    "never reached": (False, F.NETWORK, {}, False),
    "hostile": (False, 302, {"Location": "https://a\x00b/"}, False),
    "done, and the id is missing": (True, 201, {}, False),
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call as it came in: of which run and step, for whom where, and whether it opens, closes or only asks."""

    uid: str
    step: str
    place: str
    person: str
    opens: bool
    took_effect: bool


class Outside(HttpClient):
    """What stands behind the one HTTP client. `before` is asked at each call what speaks against its being sent."""

    def __init__(self, before: Callable[[str, str], str | None]) -> None:
        self._before = before
        self.fate = "done"
        self.is_healthy = True
        self.arrivals: list[Arrival] = []
        self.wrongs: list[str] = []
        self.open: set[tuple[str, str]] = set()
        self._calls: Counter[str] = Counter()
        self._effects: Counter[str] = Counter()

    def close(self) -> None:
        """There is nothing to close."""

    def send(self, request: Request) -> Reply:
        if request.method == "GET":
            return Reply(200 if self.is_healthy else 503, {}, b"{}", False, 1)
        if request.may_go is not None and not request.may_go():
            raise NoLongerWanted  # as the client does when the first byte is about to leave
        key = request.headers["Idempotency-Key"]
        uid, _, step = key.rpartition("-")
        took, answer, headers, lost = FATES[self.fate]
        opens = request.method != "DELETE"
        took = took or (self.fate == "gone" and not opens)  # what is gone already is as it should be
        _, place, person = request.url.removeprefix(BASE).split("/")[:3]
        self._calls[key] += 1
        if (wrong := self._before(uid, step)) is not None:
            self.wrongs.append(wrong)
        self._effects[key] += took
        self.arrivals.append(Arrival(uid, step, place, person, opens, took))
        if took:
            (self.open.add if opens else self.open.discard)((place, person))
        if isinstance(answer, F):
            raise CallFailed(answer, lost, "The other side gave no answer.")
        named = {} if self.fate == "done, and the id is missing" else {"id": f"u-{person}"}
        return Reply(answer, headers, json.dumps(named).encode(), False, 1)

    def calls(self, uid: str, step: str) -> int:
        return self._calls[f"{uid}-{step}"]

    def doubled(self) -> list[str]:
        """The keys of calls that took effect more than once."""
        return [key for key, count in self._effects.items() if count > 1]

    def ledger(self) -> Ledger:
        return Ledger(self._calls, self._effects)
