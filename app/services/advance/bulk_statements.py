"""One statement for the rows of many runs.

On PostgreSQL a statement for each row costs more than the row: the conditions of every check and trigger are
read anew each time.  There all rows go over as one JSON value and are written by one statement; SQLite, which
is in the process, takes them one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, and_, bindparam, column, func, insert, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.expression import ColumnElement

from app.database import changed

Values = dict[str, Any]
Given = Callable[[str], ColumnElement[Any]]


class ManyUpdates:
    """Changes rows of `table`, each found by its own key.

    `match` names the parameters that find a row and the columns they are held against; `columns` the types, by
    column name, of parameters that are not called after their column.  `values` makes what is written from a
    function that gives a parameter by its name.  With `lock_order` the rows are locked in the order of those
    columns before any is written, so that two who write the same rows never wait for each other in a circle.
    """

    def __init__(
        self,
        table: Any,
        match: Mapping[str, str],
        values: Callable[[Given], Mapping[str, Any]],
        *,
        columns: Mapping[str, str] | None = None,
        lock_order: Sequence[str] = (),
    ) -> None:
        self._table = table
        self._match = dict(match)
        self._columns = {**match, **(columns or {})}
        self._lock_order = lock_order
        names: list[str] = list(match)

        def noted(name: str) -> ColumnElement[Any]:
            names.append(name)
            return bindparam(name)

        one = [table.c[of] == bindparam(name) for name, of in match.items()]
        self._each = update(table).where(*one).values(dict(values(noted)))
        self._all = self._set_based(list(dict.fromkeys(names)), values)

    def execute(self, connection: Connection, rows: Sequence[Values]) -> int:
        """Write the rows, in this order where the database takes them one by one; how many there were to write."""
        if not rows:
            return 0
        if connection.dialect.name == "postgresql":
            return changed(connection, self._all, {"rows": _plain(rows)})
        return changed(connection, self._each, list(rows))

    def _set_based(self, names: list[str], values: Callable[[Given], Mapping[str, Any]]) -> Any:
        table = self._table
        given = _recordset({name: table.c[self._columns.get(name, name)].type for name in names})
        if not self._lock_order:
            found = [table.c[of] == given.c[name] for name, of in self._match.items()]
            return update(table).where(*found).values(dict(values(lambda name: given.c[name])))
        mine = table.alias("mine")
        locked = (
            select(mine.c.id.label("locked_id"), *given.c)
            .select_from(
                mine.join(given, and_(*(mine.c[of] == given.c[name] for name, of in self._match.items())))
            )
            .order_by(*(mine.c[name] for name in self._lock_order))
            .with_for_update(of=mine, key_share=True)
            .subquery("locked")
        )
        written = dict(values(lambda name: locked.c[name]))
        return update(table).where(table.c.id == locked.c.locked_id).values(written)


def insert_many(connection: Connection, table: Any, rows: Sequence[Values]) -> None:
    """Add rows that all have the same columns."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(_insert_all(table, tuple(rows[0])), {"rows": _plain(rows)})
    else:
        connection.execute(insert(table), list(rows))


@lru_cache(maxsize=64)
def _insert_all(table: Any, names: tuple[str, ...]) -> Any:
    given = _recordset({name: table.c[name].type for name in names})
    return insert(table).from_select(list(names), select(*given.c))


def _recordset(types: Mapping[str, Any]) -> Any:
    """The parameter `rows`, a JSON array of objects, as a table."""
    columns = [column(name, type_) for name, type_ in types.items()]
    rows = func.jsonb_to_recordset(bindparam("rows", type_=JSONB))
    return rows.table_valued(*columns, name="given").render_derived(with_types=True)


def _plain(rows: Sequence[Values]) -> list[Values]:
    """The rows as JSON holds them; aware times keep their zone, and words that are enumerations are text."""
    return [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
        for row in rows
    ]
