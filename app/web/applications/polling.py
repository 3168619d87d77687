"""What a page that polls for chips is showing, written into the poll's address for the server to compare.

`v=2.17p-23w` reads: asked every 2 s; grant 17 shown as provisioning, 23 as waiting. Only what can still
change by itself is listed, so the list empties as runs end, and with it the polling.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.clock import now
from app.domain.grants.state import GrantState
from app.models import Grant
from app.schemas.kinds import MAX_ID

_LETTERS = {GrantState.PROVISIONING: "p", GrantState.DEPROVISIONING: "d", GrantState.WAITING: "w"}
_STATES = {letter: state for state, letter in _LETTERS.items()}
_PART = re.compile(r"([0-9]{1,19})([pdw])")
_MOST = 100

# The longer nothing happened, the rarer the question; a person takes longer than a machine.
_FRESH, _STEADY, _SLOW, _WAITING = 2, 5, 15, 30


@dataclass(frozen=True, slots=True)
class Watch:
    """The chips on a page that can still change, by grant, and every how many seconds to ask."""

    seconds: int
    states: Mapping[int, str]

    @staticmethod
    def follows(state: str) -> bool:
        """Whether a chip can change without anybody on this page doing anything."""
        return state in _LETTERS

    @property
    def interval(self) -> float:
        """The seconds, a little off, so that many open pages do not ask at the same moment."""
        return round(self.seconds * random.uniform(0.85, 1.15), 1)  # noqa: S311  not a secret

    def __str__(self) -> str:
        parts = (
            f"{grant_id}{_LETTERS[GrantState(state)]}" for grant_id, state in sorted(self.states.items())
        )
        return f"{self.seconds}.{'-'.join(parts)}"


def watch_of(found: Iterable[tuple[Grant, datetime | None]]) -> Watch:
    """What to watch of these grants, given with the last change of each one's newest run."""
    open_ones = [(grant, changed_at) for grant, changed_at in found if Watch.follows(grant.state)]
    return Watch(_seconds(open_ones), {grant.id: grant.state for grant, _ in open_ones})


def read_watch(text: str) -> Watch:
    """The watch in an address; an edited one reads as far as it makes sense."""
    seconds, _, rest = text.partition(".")
    states = {}
    for part in rest.split("-")[:_MOST]:
        found = _PART.fullmatch(part)
        if found and int(found[1]) <= MAX_ID:
            states[int(found[1])] = _STATES[found[2]].value
    return Watch(int(seconds) if seconds.isascii() and seconds.isdigit() and len(seconds) < 3 else 0, states)


def _seconds(open_ones: list[tuple[Grant, datetime | None]]) -> int:
    moving = [
        changed_at for grant, changed_at in open_ones if grant.state != GrantState.WAITING and changed_at
    ]
    if not moving:
        return _WAITING
    age = now() - max(moving)
    if age < timedelta(seconds=30):
        return _FRESH
    return _STEADY if age < timedelta(minutes=5) else _SLOW
