"""What a worker has in hand: its runs, and until when they are its own."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from app import clock
from app.domain.runs.calls import Order
from app.services.advance.places import Places

# So often runs of other applications are looked for behind those of one that has more than its share.
LOOK_ASIDE_SECONDS = 0.5


@dataclass(slots=True)
class _Held:
    fence: int
    connection_id: int
    application_id: int
    until: float


class InFlight:
    """The calls that a worker has out or is about to make, at most `total`; safe to share between threads.

    Times are those of `clock.elapsed`, in seconds.  A lease counts from a moment before the database gave it, so that
    it is over here before it is over there.
    """

    def __init__(self, total: int, lease_seconds: float) -> None:
        self.total = total
        self._lease = lease_seconds
        self._held: dict[int, _Held] = {}
        self._looked_aside = 0.0
        self.changed = threading.Condition()

    def hold(self, order: Order, began: float) -> None:
        """`order` was committed in a transaction that began at `began`: the run is ours for a lease from there."""
        connection = order.connection
        of = (connection.id, connection.application_id) if connection is not None else (0, 0)
        with self.changed:
            self._held[order.run_id] = _Held(order.fence, *of, began + self._lease)

    def release(self, run_id: int, fence: int | None) -> None:
        """The run with that fence is out of our hands; one that we took anew since then stays."""
        with self.changed:
            held = self._held.get(run_id)
            if held is not None and held.fence == fence:
                del self._held[run_id]
            self.changed.notify_all()

    def keep(self, run_ids: Iterable[int], began: float) -> None:
        """These runs' leases were renewed in a transaction that began at `began`."""
        with self.changed:
            for one in run_ids:
                if one in self._held:
                    self._held[one].until = began + self._lease

    def is_ours(self, order: Order) -> bool:
        """Whether the call may be made at this moment: nobody else can have been given its run."""
        with self.changed:
            held = self._held.get(order.run_id)
            return held is not None and held.fence == order.fence and clock.elapsed() < held.until

    def fences(self) -> dict[int, int]:
        """The runs in hand, by number, with their fences."""
        with self.changed:
            return {run_id: held.fence for run_id, held in self._held.items()}

    def places(self, over: Collection[tuple[int, int | None]] = ()) -> Places:
        """The places as they are but for the calls `over`, by run and fence, whose end is just being written."""
        with self.changed:
            kept = [one for run_id, one in self._held.items() if (run_id, one.fence) not in over]
            places = Places.of(self.total, (one.connection_id for one in kept))
            if clock.elapsed() - self._looked_aside >= LOOK_ASIDE_SECONDS:
                self._looked_aside = clock.elapsed()
                many = {one for one, count in places.taken.items() if count >= places.share}
                places.busy = frozenset(one.application_id for one in kept if one.connection_id in many)
            return places

    def room(self) -> int:
        """How many more calls may go out on connections that have none out yet."""
        with self.changed:
            return Places.of(self.total, (one.connection_id for one in self._held.values())).room

    def __len__(self) -> int:
        with self.changed:
            return len(self._held)
