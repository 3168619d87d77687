"""Lists a page at a time: the parameters they share, and a cursor that nobody can edit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from flask import current_app, request
from itsdangerous import BadData, URLSafeSerializer

from app.api.problems import Malformed
from app.errors import FieldError
from app.schemas.answers import Page
from app.schemas.base import Input
from app.schemas.kinds import MAX_ID, MAX_URL, Number, Text

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

Row = TypeVar("Row")
Item = TypeVar("Item")


class ListQuery(Input):
    """How much of a list is wanted: `limit` items, those that follow the cursor `after`."""

    limit: Annotated[int, Number(1, MAX_LIMIT, blank=DEFAULT_LIMIT)] = DEFAULT_LIMIT
    after: Annotated[str, Text(MAX_URL)] = ""

    @property
    def key(self) -> int | None:
        """The id after which to go on, None at the beginning; raises Malformed for a cursor not ours."""
        if not self.after:
            return None
        try:
            key = _cursors().loads(self.after)
        except BadData:
            key = None
        # What base64 reads leniently is refused as well: one key has one cursor.
        if not isinstance(key, int) or not 0 < key <= MAX_ID or _cursor(key) != self.after:
            message = "This cursor is not one that this list gave out."
            raise Malformed(message, [FieldError("after", message)])
        return key


def page_of(
    rows: Sequence[Row], query: ListQuery, present: Callable[[Row], Item], key: Callable[[Row], int]
) -> Page[Item]:
    """A page of `rows`, read with a limit of `query.limit + 1`: one too many says that there is more."""
    kept = rows[: query.limit]
    more = len(rows) > query.limit
    return Page(items=[present(row) for row in kept], next=_cursor(key(kept[-1])) if more else None)


def _cursor(key: int) -> str:
    text = _cursors().dumps(key)
    return text if isinstance(text, str) else text.decode("ascii")


def _cursors() -> URLSafeSerializer:
    # Signed for this list: a cursor of another one means other ids.
    return URLSafeSerializer(current_app.secret_key or "", salt=f"cursor {request.endpoint}")
