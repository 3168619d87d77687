"""Sets of HTTP statuses: what counts as success, and what means “not yet”."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.domain.json_reader import Json, Reader

MAX_STATUS_ENTRIES = 50
_STATUS = re.compile(r"([1-5][0-9]{2})(?:\s*-\s*([1-5][0-9]{2}))?")
_STATUSES = range(100, 600)


@dataclass(frozen=True, slots=True)
class StatusSet:
    """HTTP statuses as inclusive ranges, in the order in which the author listed them."""

    ranges: tuple[tuple[int, int], ...] = ()

    def __contains__(self, status: object) -> bool:
        return isinstance(status, int) and any(low <= status <= high for low, high in self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def lists(self, status: int) -> bool:
        """True when `status` is there by itself, and not only as one of a range."""
        return (status, status) in self.ranges


SUCCESS = StatusSet(((200, 299),))

NONE = StatusSet()


def describe_statuses(statuses: StatusSet) -> str:
    """`2xx, 409`; a range that is no whole class keeps its ends: `200-204`."""
    return ", ".join(_range_words(low, high) for low, high in statuses.ranges)


def _range_words(low: int, high: int) -> str:
    if low == high:
        return str(low)
    if low % 100 == 0 and high == low + 99:
        return f"{low // 100}xx"
    return f"{low}-{high}"


def read_statuses(reader: Reader, name: str, default: StatusSet) -> StatusSet:
    """The statuses listed as `name`: numbers and ranges."""
    if reader.raw.get(name) is None:
        return default
    before = len(reader.problems)
    ranges: list[tuple[int, int]] = []
    for index, one in enumerate(reader.items(name, most=MAX_STATUS_ENTRIES)):
        span = status_range(one)
        if span is None:
            reader.problem(f"{name}[{index}]", "Use a status from 100 to 599, or a range such as 200-299.")
        else:
            ranges.append(span)
    if not ranges and default and len(reader.problems) == before:
        reader.problem(name, "List at least one status, or leave the field out for 200-299.")
    return StatusSet(tuple(ranges))


def status_range(entry: object) -> tuple[int, int] | None:
    if isinstance(entry, int) and entry in _STATUSES:
        return entry, entry
    found = _STATUS.fullmatch(entry.strip()) if isinstance(entry, str) else None
    if found is None:
        return None
    low, high = int(found[1]), int(found[2] or found[1])
    return (low, high) if low <= high else None


def statuses_to_json(statuses: StatusSet) -> list[Json]:
    return [low if low == high else f"{low}-{high}" for low, high in statuses.ranges]
