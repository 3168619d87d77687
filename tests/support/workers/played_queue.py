"""The queue service, played: bells that lie there until they are taken, are lost, or ring twice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from app.queue import RunQueue


class PlayedQueue(RunQueue):
    """What the others see of Redis: numbers in order, and when each database was swept last."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.is_down = False
        self._swept: dict[str, datetime] = {}

    def notify(self, run_ids: Iterable[int]) -> bool:
        if not self.is_down:
            self.ids += sorted(set(run_ids))
        return not self.is_down

    def take(self, most: int) -> set[int]:
        taken, self.ids = self.ids[:most], self.ids[most:]
        return set(taken)

    def is_reachable(self) -> bool:
        return not self.is_down

    def waiting(self) -> int | None:
        return None if self.is_down else len(self.ids)

    def remember_sweep(self, uid: str, at: datetime) -> None:
        if not self.is_down:
            self._swept[uid] = at

    def remembered_sweep(self, uid: str) -> datetime | None:
        return None if self.is_down else self._swept.get(uid)

    def close(self) -> None:
        """There is nothing to close."""
