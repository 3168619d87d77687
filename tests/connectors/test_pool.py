"""The pool of idle connections, by its own clock."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from app.connectors.http import YOUNG_SECONDS
from app.connectors.pool import IDLE_SECONDS, REST_SECONDS, IdlePool

KEYS = ("a", "b")
# About every boundary that the pool knows, and far beyond.
PAUSES = (
    0.0,
    REST_SECONDS / 2,
    REST_SECONDS,
    YOUNG_SECONDS,
    IDLE_SECONDS / 2,
    IDLE_SECONDS,
    10 * IDLE_SECONDS,
)


@dataclass(eq=False)
class Line:
    key: str
    given_at: float = 0.0
    closed: bool = False

    def close(self) -> None:
        self.closed = True


steps = st.tuples(
    st.sampled_from(["take", "take young", "open", "give", "shun"]),
    st.sampled_from(KEYS),
    st.sampled_from(PAUSES),
)


@given(st.lists(steps, max_size=40), st.integers(1, 4))
def test_whatever_comes_only_rested_and_young_enough_connections_are_given(
    moves: list[tuple[str, str, float]], limit: int
) -> None:
    now = 1000.0
    pool: IdlePool[str, Line] = IdlePool(limit, lambda: now)
    lent: list[Line] = []
    kept: list[Line] = []
    shunned: set[str] = set()
    for what, key, pause in moves:
        now += pause
        if what == "open":
            lent.append(Line(key))
        elif what == "give" and lent:
            line = lent.pop(0)
            line.given_at = now
            pool.give(line.key, line)
            kept.append(line)
        elif what == "shun":
            pool.shun(key)
            shunned.add(key)
        elif what.startswith("take"):
            youngest = YOUNG_SECONDS if what == "take young" else IDLE_SECONDS
            there = [one for one in kept if one.key == key and not one.closed]
            line_or_none = pool.take(key, youngest)
            if line_or_none is not None:
                kept.remove(line_or_none)
                lent.append(line_or_none)
                assert line_or_none in there
                assert REST_SECONDS <= now - line_or_none.given_at < youngest
            else:
                fit = [one for one in there if REST_SECONDS <= now - one.given_at < youngest]
                assert fit == []
        kept = [one for one in kept if not one.closed]
        assert len(kept) <= limit
        assert not any(one.closed for one in lent)
        assert not shunned & {one.key for one in kept}
        if what.startswith("take"):
            assert all(now - one.given_at < IDLE_SECONDS for one in kept)
    pool.close()
    assert all(one.closed for one in kept)


def test_one_that_is_too_old_makes_room_for_the_one_that_is_opened_in_its_place() -> None:
    now = 0.0
    pool: IdlePool[str, Line] = IdlePool(10, lambda: now)
    older, newer = Line("a"), Line("a")
    pool.give("a", older)
    now += 1
    pool.give("a", newer)
    now += YOUNG_SECONDS
    assert pool.take("a", YOUNG_SECONDS) is None
    assert (older.closed, newer.closed) == (True, False)
    assert pool.take("a") is newer
