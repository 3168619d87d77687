"""How migrations run: through the app's own engine, one transaction for all, with short waits for locks."""

from alembic import context
from flask import current_app
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from app.database import WRITES, lift_limits
from app.models import Base

LOCK_TIMEOUT = "10s"


def run(connection: Connection) -> None:
    """Bring the database at the other end of `connection` to the revision that was asked for."""
    if connection.dialect.name == "postgresql":
        lift_limits(connection)
        # Two deployments at once: the second waits for the first instead of running into its tables.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('access-automation-migrations'))"))
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    context.run_migrations()


def connect(engine: Engine) -> Connection:
    """A connection that is about to write; stops with one line when there is none to be had."""
    try:
        return engine.connect().execution_options(**WRITES)
    except OperationalError as error:
        reason = (str(error.orig).splitlines() or [type(error.orig).__name__])[0]
        raise SystemExit(
            f"DATABASE_URL: no connection ({reason}); it should be a database that runs and lets this user in"
        ) from None


if context.is_offline_mode():
    raise SystemExit("Migrations need a database to look at: run them without --sql.")

engine = current_app.extensions["migrate"].db.engine
with connect(engine) as opened, opened.begin():
    run(opened)
