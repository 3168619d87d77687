"""Newer and Older: paging by key, which neither skips nor repeats rows when new ones arrive meanwhile.

A list is shown newest first. `read_page` asks the view's query for `size + 1` rows before or after the key in the
address; `links` makes the addresses of the pages beside it, which keep every filter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from flask import request

from app.schemas.kinds import record_id

T = TypeVar("T")

_CURSOR = ("before", "after")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where to read from. `before`: older rows than this key; `after`: newer ones. Both empty: the newest."""

    before: str = ""
    after: str = ""

    @property
    def is_forward(self) -> bool:
        """True when the query must read upwards from the key (oldest first), which `page_of` turns round."""
        return bool(self.after)


@dataclass(frozen=True, slots=True)
class PageOf(Generic[T]):
    """One page of rows, newest first, and whether there is more on either side."""

    rows: Sequence[T]
    has_newer: bool
    has_older: bool
    first_key: str
    last_key: str


@dataclass(frozen=True, slots=True)
class PageLinks:
    """Addresses for the pagination component; an empty one is not offered."""

    newer: str = ""
    older: str = ""


def read_cursor(args: Mapping[str, str]) -> Cursor:
    """The cursor in the query string. `before` wins when an edited address has both."""
    before = args.get("before", "").strip()
    return Cursor(before=before) if before else Cursor(after=args.get("after", "").strip())


def read_page(read: Callable[..., Iterable[T]], *, size: int, key: Callable[[T], object]) -> PageOf[T]:
    """The page that the address asks for of `read(limit=…, before=…, after=…)`, whose key is a record's number.

    A cursor that is none means the first page.
    """
    cursor = read_cursor(request.args)
    rows = read(limit=size + 1, before=record_id(cursor.before), after=record_id(cursor.after))
    return page_of(list(rows), cursor, size=size, key=key)


def no_rows(**_where: object) -> list[Any]:
    """The query of a list whose filters cannot be read."""
    return []


def page_of(rows: Sequence[T], cursor: Cursor, *, size: int, key: Callable[[T], object]) -> PageOf[T]:
    """Cut `rows`, read with a limit of `size + 1` in the cursor's direction, to one page, newest first."""
    more = len(rows) > size
    kept = list(rows[:size])
    if cursor.is_forward:
        kept.reverse()
    return PageOf(
        rows=kept,
        has_newer=more if cursor.is_forward else bool(cursor.before),
        has_older=True if cursor.is_forward else more,
        first_key=str(key(kept[0])) if kept else "",
        last_key=str(key(kept[-1])) if kept else "",
    )


def links(path: str, filters: Iterable[tuple[str, str]], page: PageOf[T]) -> PageLinks:
    """The addresses of the neighbouring pages under `path`. Blank filters and old cursors are left out."""
    kept = [(name, value) for name, value in filters if value and name not in _CURSOR]

    def address(name: str, key: str) -> str:
        return f"{path}?{urlencode([*kept, (name, key)])}"

    if not page.rows:
        # An edited or outdated cursor: the way back is the newest page.
        newest = f"{path}?{urlencode(kept)}" if kept else path
        return PageLinks(newer=newest if page.has_newer else "", older="")
    return PageLinks(
        newer=address("after", page.first_key) if page.has_newer else "",
        older=address("before", page.last_key) if page.has_older else "",
    )
