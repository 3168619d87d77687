"""How many calls a worker may have out: in all, and on one connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Places:
    """A worker's places, as they stand while its runs are moved; `take` and `give` keep count by connection.

    A connection may have them all while nobody else wants one.  More than half of them do not count against the
    others, who have the rest at any time: so a slow system delays nobody else, and a worker has at most half as many
    calls again as places.  `busy` names applications behind whose runs others are to be looked for.
    """

    total: int
    taken: dict[int, int] = field(default_factory=dict)
    busy: frozenset[int] = frozenset()

    @classmethod
    def of(cls, total: int, connections: Iterable[int], busy: Iterable[int] = ()) -> Places:
        """The places of a worker that has a call out on each of these connections."""
        places = cls(total, busy=frozenset(busy))
        for one in connections:
            places.take(one)
        return places

    @property
    def share(self) -> int:
        """The part of the places that is any one connection's own."""
        return max(1, self.total // 2)

    @property
    def room(self) -> int:
        """How many more calls may go out on connections that have none out yet."""
        return max(0, self.total - sum(min(count, self.share) for count in self.taken.values()))

    def has(self, connection_id: int) -> bool:
        """Whether one more call on the connection may go out."""
        mine = self.taken.get(connection_id, 0)
        if mine >= self.share:
            return sum(self.taken.values()) < self.total
        return self.room > 0

    def take(self, connection_id: int) -> None:
        self.taken[connection_id] = self.taken.get(connection_id, 0) + 1

    def crowded(self) -> frozenset[str]:
        """The connections that have no place for one more call."""
        return frozenset(str(one) for one in self.taken if one and not self.has(one))
