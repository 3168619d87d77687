"""How the two databases are spoken to: SQLite's settings, the database's own time, and where a write begins."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, CursorResult, Delete, Engine, Select, Update, event, func, literal, select
from sqlalchemy import exc as problems
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app import clock

Insert = postgresql.Insert | sqlite.Insert
Locking = TypeVar("Locking", bound=Select[*tuple[Any, ...]])

# A long lock wait is a fault to report, not a page to keep somebody waiting on.
BUSY_MS = 10_000
WRITES = {"begins_write": True}
# Of SQLSTATE (PostgreSQL documentation, appendix A): a limit that the statement itself exceeds.
TOO_LARGE = "54"
# No such table or column, or no right to it: how a database looks while it is migrated, or handed over.
NOT_AS_EXPECTED = ("42P01", "42703", "42501")
# What SQLite says instead: by the beginning of its code's name, and of its words where the name says nothing.
_OF_SQLITE = {
    "SQLITE_BUSY": "55P03",
    "SQLITE_LOCKED": "55P03",
    "SQLITE_READONLY": "25006",
    "SQLITE_FULL": "53100",
    "SQLITE_ERROR no such": "42P01",
}
_INSERTS: dict[str, Callable[[Any], Insert]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def prepare_engine(engine: Engine) -> None:
    """Set an engine up, before it is used: no wait for PostgreSQL is without an end (`app/postgres.py`).

    On SQLite WAL, full durability, foreign keys, and explicit transactions.

    Python's sqlite3 begins transactions late and by itself; we begin them.  A transaction that will write takes
    the write lock at once (`BEGIN IMMEDIATE`), because upgrading a reading one fails under concurrency with no
    waiting at all.  `synchronous=FULL`: an attempt that was committed before its call was sent must survive a
    power cut, or the call could be sent twice.
    """
    if engine.dialect.name != "sqlite":
        from app import postgres  # here, so that psycopg is loaded only where it is used

        event.listen(
            engine, "do_connect", lambda _dialect, _record, args, given: postgres.connect(*args, **given)
        )
        return

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("begins_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def pool_options(database_url: str) -> dict[str, Any]:
    """What `create_engine` is given for this address: how many connections, and how one is waited for."""
    if database_url.startswith("sqlite"):
        return {}
    return {"pool_size": 10, "max_overflow": 10, "pool_timeout": 5, "pool_pre_ping": True}


def lift_limits(connection: Connection) -> None:
    """Let what is done until the end of this transaction take as long as it takes: a migration, say."""
    if connection.dialect.name == "postgresql":
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {name} = 0")
        cast(Any, connection.connection.dbapi_connection).patience = None


def db_now(connection: Connection) -> datetime:
    """The database's time, aware, in UTC: the one that leases and due times go by, whatever a host's clock says."""
    if connection.dialect.name == "sqlite":
        return clock.now()  # the database is a file on this host, so its clock is ours
    at: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return at


def db_now_hurried(connection: Connection) -> datetime:
    """As `db_now`; from here on the transaction waits for no lock longer than half a second, on PostgreSQL.

    For whoever writes for many at once: one row that somebody holds is not to keep the others.
    """
    if connection.dialect.name == "sqlite":
        return clock.now()
    hurry = func.set_config("lock_timeout", "500ms", literal(True))
    at: datetime = connection.execute(select(func.clock_timestamp(), hurry)).one()[0]
    return at


def writes_alone(connection: Connection) -> bool:
    """Whether nobody else can write while this transaction, which has begun to, is open."""
    return connection.dialect.name == "sqlite"


class at_latest_now(FunctionElement[datetime]):  # noqa: N801  # a function of SQL
    """The time that is given, or the database's own where that is earlier, as SQL."""

    inherit_cache = True


@compiles(at_latest_now)
def _at_latest_now(element: at_latest_now, compiler: SQLCompiler, **options: Any) -> str:
    return f"LEAST({compiler.process(element.clauses, **options)}, clock_timestamp())"


@compiles(at_latest_now, "sqlite")
def _at_latest_now_here(element: at_latest_now, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


class CommitInDoubt(problems.OperationalError):
    """COMMIT was sent and no answer came: whether what was written is there, nobody knows."""


def commit(session: Session) -> None:
    """Commit; raises CommitInDoubt where it cannot be told whether that was done."""
    try:
        session.commit()
    except problems.DBAPIError as error:
        # A statement of its own that failed before it is another matter, and so is a COMMIT that was refused.
        if error.statement is None and sqlstate(error)[:3] in ("", "57P", "080"):
            raise CommitInDoubt(None, None, cast(Exception, error.orig)) from error
        raise


def sqlstate(error: BaseException) -> str:
    """Five characters for what went wrong, PostgreSQL's for SQLite too; "" for a lost connection, say."""
    given = getattr(error, "orig", None)
    if isinstance(given, sqlite3.Error):
        name = f"{getattr(given, 'sqlite_errorname', '')} {given}"
        return next((state for begins, state in _OF_SQLITE.items() if name.startswith(begins)), "")
    return getattr(given, "sqlstate", None) or ""


def database_is_away(error: BaseException) -> bool:
    """Whether the database is at fault, and not what was to be written: the same may be taken a moment later.

    An outage, a lock or time limit, a server that is full, shutting down or read-only, tables that are being
    changed. False for what this very write would meet again, and for what is no error of a database at all.
    """
    state = sqlstate(error)
    match error:
        case problems.TimeoutError() | problems.DisconnectionError() | problems.InterfaceError():
            return True
        case problems.OperationalError():
            return not state.startswith(TOO_LARGE)
        case problems.ProgrammingError():
            return state in NOT_AS_EXPECTED
        case problems.InternalError():
            return True
    return type(error) is problems.DatabaseError  # a file that is damaged, or is no database


def is_contested(error: BaseException) -> bool:
    """Whether others stood in the way, by a lock or in a circle: the database is well, and a next try may do."""
    return sqlstate(error) in ("55P03", "40P01", "40001")


class merged(FunctionElement[Any]):  # noqa: N801  # a function of SQL
    """A JSON object with the members of another put over its own, as SQL: who adds some loses nobody else's."""

    inherit_cache = True


@compiles(merged)
def _merged(element: merged, compiler: SQLCompiler, **options: Any) -> str:
    kept, added = (compiler.process(one, **options) for one in element.clauses)
    return f"({kept} || {added})"


@compiles(merged, "sqlite")
def _merged_here(element: merged, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_patch({compiler.process(element.clauses, **options)})"


def changed(
    at: Session | Connection,
    statement: Update | Delete,
    rows: Mapping[str, Any] | Sequence[Any] | None = None,
) -> int:
    """Carry the change out; how many rows met its conditions. Rows that the session has read stay as they were.

    `rows` are the values of its parameters: one mapping, or one for each time that it is carried out.
    """
    done = at.execute(statement, rows, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", done).rowcount


def changed_one(at: Session | Connection, statement: Update | Delete) -> bool:
    """Compare and set: whether the one row that is meant was still as the conditions of `statement` say."""
    return changed(at, statement) == 1


def and_as_a_reference(statement: Locking, table: Any) -> Locking:
    """Besides what `statement` locks hold these rows of `table` as a foreign key to them would."""
    return statement.suffix_with(f"FOR KEY SHARE OF {table.__tablename__}", dialect="postgresql")


def upsert(at: Session | Connection, table: Any) -> Insert:
    """An insert that says what becomes of rows which are there already: `on_conflict_do_nothing` or `…_do_update`."""
    connection = at.connection() if isinstance(at, Session) else at
    return _INSERTS[connection.dialect.name](table)


class PreparedUpsert:
    """An upsert that `finish` completes once for each dialect: what every act runs takes half the time so."""

    def __init__(self, table: Any, finish: Callable[[Any], Any]) -> None:
        self._made = {name: finish(begin(table)) for name, begin in _INSERTS.items()}

    def on(self, connection: Connection) -> Any:
        """The statement as this connection's dialect has it."""
        return self._made[connection.dialect.name]
