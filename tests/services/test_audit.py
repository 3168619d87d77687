"""The chain of audit entries: written at the end, whole under concurrency, and every tampering found."""

from __future__ import annotations

import threading

import pytest
from flask import Flask
from sqlalchemy import Connection as DbConnection
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from app.errors import Conflict
from app.extensions import db
from app.models import (
    AlertMessage,
    ApiToken,
    Application,
    AuditChain,
    AuditEvent,
    Base,
    BulkRetry,
    Connection,
    Grant,
    Group,
    ManualTask,
    Role,
    Run,
    User,
    Workflow,
)
from app.permissions import Actor
from app.services import audit
from app.services.audit_chain import FIELDS, GENESIS, entry_hash, verify
from app.services.record_changes import refusing_duplicates
from app.services.transaction import transaction
from tests.support.factories import NOW, make_application

KNOWN = "c638e6158cbe0b686d9faf075df83e465382424f01ef17df98337d71bc477dbd"


def note(session: Session, actor: Actor, subject: str, **more: object) -> None:
    audit.record(session, actor, "test.act", audit.Subject("test", 1, subject), now=NOW, **more)  # type: ignore[arg-type]


def written(app: Flask, actor: Actor, count: int) -> None:
    """So many entries, each in a transaction of its own."""
    with app.app_context():
        for number in range(count):
            with transaction() as session:
                note(session, actor, f"Entry {number + 1}", changes={"number": [number, number + 1]})
        db.session.remove()


def tamper(app: Flask, *statements: str) -> None:
    """What somebody with every right on the database could do: the guards are switched off for it."""
    with app.app_context(), db.engine.connect() as connection, connection.begin():
        restore = _disarm(connection)
        for statement in statements:
            connection.execute(text(statement))
        for statement in restore:
            connection.execute(text(statement))


def _disarm(connection: DbConnection) -> list[str]:
    names = {"audit_events": ("fixed", "kept"), "audit_chain": ("grows", "kept")}
    if connection.dialect.name == "postgresql":
        for table in names:
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        return [f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in names]
    found = connection.execute(
        text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'audit_%'")
    ).all()
    for name, _sql in found:
        connection.execute(text(f"DROP TRIGGER {name}"))
    return [sql for _name, sql in found]


def verdict(app: Flask) -> tuple[int | None, str]:
    with app.app_context():
        found = verify(db.session())
        db.session.remove()
    return found.broken, found.why


def undone(actor: Actor) -> None:
    with transaction() as session:
        note(session, actor, "Never happened")
        raise RuntimeError


def refused(session: Session, actor: Actor) -> None:
    with refusing_duplicates(session, Conflict("Taken.")):
        note(session, actor, "Undone")
        with session.begin_nested():
            note(session, actor, "Undone with it")
        make_application(session, name="Jira")


def test_each_entry_follows_the_one_before(app: Flask, admin: Actor) -> None:
    written(app, admin, 3)
    with app.app_context():
        entries = db.session.scalars(select(AuditEvent).order_by(AuditEvent.id)).all()
        assert [one.previous_hash for one in entries] == [GENESIS, *(one.hash for one in entries[:-1])]
        chain = db.session.scalars(select(AuditChain)).one()
        assert (chain.entries, chain.hash) == (3, entries[-1].hash)
        assert verify(db.session()).is_whole


@pytest.mark.parametrize(
    ("record", "kind", "called"),
    [
        (User(id=7, first_name="Ada", last_name="Lovelace", email="ada@example.org"), "user", "Ada Lovelace"),
        (User(id=7, first_name="", last_name="", email="ada@example.org"), "user", "ada@example.org"),
        (Role(id=7, kind="viewer", name="Viewer"), "role", "Viewer"),
        (Group(id=7, name="Red"), "group", "Red"),
        (ApiToken(id=7, name="Script"), "token", "Script"),
        (Application(id=7, name="Jira"), "application", "Jira"),
        (Connection(id=7, name="Jira’s API"), "connection", "Jira’s API"),
        (Workflow(id=7, name="Add people"), "workflow", "Add people"),
        (Grant(id=7), "grant", "Grant 7"),
        (Run(id=7), "run", "Run 7"),
        (ManualTask(id=7, run_id=3), "task", "Task 7 of run 3"),
        (BulkRetry(id=7, name="Monday’s failures"), "bulk_retry", "Bulk retry 7: Monday’s failures"),
        (AlertMessage(id=7, title="A worker was lost"), "alert", "A worker was lost"),
        (Group(id=7, name="x" * 300), "group", "x" * 200),
    ],
)
def test_an_entry_takes_its_words_from_the_record(
    only_sqlite: Flask, admin: Actor, record: Base, kind: str, called: str
) -> None:
    with only_sqlite.app_context(), transaction() as session:
        audit.record(session, admin, "test.act", record, now=NOW)
        entry = session.scalars(select(AuditEvent)).one()
        assert (entry.subject_type, entry.subject_id, entry.subject) == (kind, "7", called)


def test_an_empty_trail_is_whole(app: Flask) -> None:
    assert verdict(app) == (None, "")


@pytest.mark.parametrize(
    "changes",
    [
        {"n": [1e16, 0.5]},
        {"n": [2**60, -3]},
        {"n": [1.0, True]},
        {"text": ["Zoë “x” \u202e", None]},
        {"deep": [[{"b": 1, "a": [2.50]}], {}]},
    ],
)
def test_values_are_hashed_as_they_are_read_back(
    app: Flask, admin: Actor, changes: dict[str, list[object]]
) -> None:
    with app.app_context(), transaction() as session:
        note(session, admin, "Zoë", reason="Because\nof 1", changes=changes)
    assert verdict(app) == (None, "")


def test_an_entry_that_was_edited_is_named(app: Flask, admin: Actor) -> None:
    written(app, admin, 5)
    tamper(app, "UPDATE audit_events SET actor = 'Mallory' WHERE id = 3")
    assert verdict(app) == (3, "It was changed after it was written.")


def test_an_edit_with_its_own_hash_made_anew_is_found_at_the_next_entry(app: Flask, admin: Actor) -> None:
    written(app, admin, 4)
    with app.app_context():
        second = db.session.get_one(AuditEvent, 2)
        entry = {name: getattr(second, name) for name in FIELDS} | {"actor": "Mallory"}
        forged = entry_hash(second.previous_hash, entry)
        db.session.remove()
    tamper(app, f"UPDATE audit_events SET actor = 'Mallory', hash = '{forged}' WHERE id = 2")
    broken, why = verdict(app)
    assert broken == 3
    assert "does not follow" in why


@pytest.mark.parametrize(("removed", "broken"), [(1, 2), (3, 4)])
def test_an_entry_that_was_removed_is_found_at_the_next_one(
    app: Flask, admin: Actor, removed: int, broken: int
) -> None:
    written(app, admin, 5)
    tamper(app, f"DELETE FROM audit_events WHERE id = {removed}")
    found, why = verdict(app)
    assert found == broken
    assert "removed" in why


def test_entries_that_were_removed_at_the_end_are_missed(app: Flask, admin: Actor) -> None:
    written(app, admin, 5)
    tamper(app, "DELETE FROM audit_events WHERE id > 3")
    assert verdict(app) == (None, "The newest 2 entries are missing.")


def test_a_trail_that_was_emptied_is_missed(app: Flask, admin: Actor) -> None:
    written(app, admin, 1)
    tamper(app, "DELETE FROM audit_events")
    assert verdict(app) == (None, "The newest entry is missing.")


def test_an_entry_put_in_beside_the_chain_is_named(app: Flask, admin: Actor) -> None:
    written(app, admin, 2)
    with app.app_context():
        last = db.session.get_one(AuditEvent, 2)
        made = entry_hash(last.hash, {name: getattr(last, name) for name in FIELDS})
        columns = ", ".join((*FIELDS, "previous_hash"))
        same = ", ".join(FIELDS)
        sql = (
            f"INSERT INTO audit_events (id, {columns}, hash) "
            f"SELECT 9, {same}, hash, '{made}' FROM audit_events WHERE id = 2"
        )
        db.session.remove()
    tamper(app, sql)
    broken, why = verdict(app)
    assert broken == 9
    assert "added beside the chain" in why


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET actor = 'Mallory'",
        "DELETE FROM audit_events",
        "UPDATE audit_chain SET entries = 0",
        "DELETE FROM audit_chain",
    ],
)
def test_the_database_refuses_to_rewrite_the_trail(app: Flask, admin: Actor, statement: str) -> None:
    written(app, admin, 2)
    with (
        app.app_context(),
        pytest.raises(DatabaseError, match="append-only"),
        db.engine.begin() as connection,
    ):
        connection.execute(text(statement))
    assert verdict(app) == (None, "")


def test_what_is_rolled_back_leaves_no_entry(app: Flask, admin: Actor) -> None:
    with app.app_context():
        with pytest.raises(RuntimeError):
            undone(admin)
        with transaction() as session:
            note(session, admin, "Happened")
        assert list(db.session.scalars(select(AuditEvent.subject))) == ["Happened"]
        db.session.rollback()
        db.session().connection()
        note(db.session(), admin, "Closed without a commit")
        db.session.close()
        with transaction() as session:
            pass
        assert db.session.scalar(select(func.count(AuditEvent.id))) == 1
    assert verdict(app) == (None, "")


def test_entries_of_a_savepoint_that_was_undone_go_with_it(app: Flask, admin: Actor) -> None:
    with app.app_context():
        with transaction() as session:
            note(session, admin, "Before")
            make_application(session, name="Jira")
            with pytest.raises(Conflict):
                refused(session, admin)
            with session.begin_nested():
                note(session, admin, "Kept")
        subjects = list(db.session.scalars(select(AuditEvent.subject).order_by(AuditEvent.id)))
    assert subjects == ["Before", "Kept"]
    assert verdict(app) == (None, "")


def test_the_trail_read_within_the_transaction_shows_what_it_noted(app: Flask, admin: Actor) -> None:
    with app.app_context(), transaction() as session:
        note(session, admin, "First")
        assert list(session.scalars(select(AuditEvent.subject))) == ["First"]
        note(session, admin, "Second")
    assert verdict(app) == (None, "")


def test_writers_at_once_keep_one_unbroken_chain(app: Flask, admin: Actor) -> None:
    each, problems = 50, []

    def write(name: str) -> None:
        try:
            written(app, Actor("user", name, admin.permissions), each)
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("Bo", "Cy")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert problems == []
    with app.app_context():
        found = verify(db.session())
    assert (found.entries, found.why) == (2 * each, "")


def test_verify_looks_through_more_entries_than_it_holds_at_once(
    app: Flask, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.audit_chain._READ_AT_ONCE", 2)
    written(app, admin, 5)
    assert verdict(app) == (None, "")
    tamper(app, "UPDATE audit_events SET reason = 'Another' WHERE id = 4")
    assert verdict(app)[0] == 4


def test_the_command_says_that_the_chain_is_whole_or_names_the_entry(
    only_sqlite: Flask, admin: Actor
) -> None:
    written(only_sqlite, admin, 3)
    runner = only_sqlite.test_cli_runner()
    whole = runner.invoke(args=["audit", "verify"])
    assert (whole.exit_code, whole.output) == (0, "3 entries, the chain is whole.\n")
    tamper(only_sqlite, "UPDATE audit_events SET action = 'test.other' WHERE id = 2")
    broken = runner.invoke(args=["audit", "verify"])
    assert broken.exit_code == 1
    assert "Entry 2 is not in order" in broken.output


def test_the_hash_of_an_entry_never_changes() -> None:
    """A known answer: what was stored by an earlier release must still be found in order."""
    entry = {
        "at": NOW,
        "action": "grant.create",
        "actor_kind": "user",
        "actor_id": 7,
        "actor": "Ada",
        "subject_type": "grant",
        "subject_id": "1",
        "subject": "Bo on Jira",
        "source": "127.0.0.1",
        "reason": None,
        "changes": {"access_level": [None, "Admin"]},
    }
    assert entry_hash(GENESIS, entry) == KNOWN
