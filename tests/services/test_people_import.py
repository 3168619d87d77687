"""Importing people: each line is judged by itself, and nothing is saved before it is asked for."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.errors import Invalid
from app.models import AuditEvent, Role, User
from app.permissions import Actor
from app.schemas.people_csv import decoded, lines_of
from app.services import people_import
from app.services.accounts import actor_for_user
from app.services.people_import import LineKind
from tests.support.factories import NOW, make_user


def planned(session: Session, actor: Actor, text: str) -> list[tuple[int, str, str]]:
    outcomes = people_import.plan(session, actor, lines_of(text))
    return [(one.line, one.kind.value, "; ".join(one.details)) for one in outcomes]


def saved(session: Session, actor: Actor, text: str) -> list[str]:
    lines = lines_of(text)
    plan = people_import.plan(session, actor, lines)
    done = [
        one
        for batch in people_import.batches(lines, plan)
        for one in people_import.apply(session, actor, batch, now=NOW)
    ]
    return [one.kind.value for one in people_import.merged(plan, done)]


def message(text: str) -> str:
    with pytest.raises(Invalid) as refused:
        lines_of(text)
    return refused.value.errors[0].message


def test_each_line_is_new_changed_unchanged_or_refused(session: Session, admin: Actor) -> None:
    make_user(
        session, email="ann@example.org", first_name="Ann", last_name="Old", username="ann", employee_id=None
    )
    make_user(session, email="same@example.org", first_name="Same", last_name="One")
    text = (
        "email,first_name,last_name,role\n"
        "ANN@example.org,Ann,New,member\n"
        "same@example.org,Same,One,\n"
        "new@example.org,Nia,,\n"
        "nonsense,X,Y,\n"
        "other@example.org,X,Y,boss\n"
    )
    assert planned(session, admin, text) == [
        (2, "changed", "last_name: Old → New; role: viewer → member"),
        (3, "unchanged", ""),
        (4, "new", "role viewer"),
        (5, "refused", "email: Enter an email address, such as ana@example.com."),
        (6, "refused", "role: Choose one of: admin, member, viewer."),
    ]
    assert session.scalar(select(func.count(User.id))) == 2
    assert saved(session, admin, text) == ["changed", "unchanged", "new", "refused", "refused"]
    rows = session.execute(
        select(User.email, User.first_name, User.last_name, Role.kind).join(Role).order_by(User.email)
    )
    assert [tuple(row) for row in rows] == [
        ("ann@example.org", "Ann", "New", "member"),
        ("new@example.org", "Nia", "", "viewer"),
        ("same@example.org", "Same", "One", "viewer"),
    ]
    assert saved(session, admin, text) == ["unchanged", "unchanged", "unchanged", "refused", "refused"]
    actions = session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)).all()
    assert actions == ["user.change", "user.create"]


def test_an_empty_cell_or_a_missing_column_leaves_what_is_stored(session: Session, admin: Actor) -> None:
    user = make_user(session, "member", email="ann@example.org", username="ann", employee_id="E-1")
    assert saved(session, admin, "email;username;role\nann@example.org;;\n") == ["unchanged"]
    assert saved(session, admin, "email;username\nann@example.org;anna\n") == ["changed"]
    assert (user.username, user.employee_id, user.role.kind) == ("anna", "E-1", "member")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_spreadsheets_of_every_country_are_read(separator: str, end: str) -> None:
    rows = [
        ["Email", "First name", "LAST-NAME"],
        ["a@example.org", '"A, ; b"', "C"],
        [],
        ["d@example.org", "E", "F"],
    ]
    text = "\ufeff" + end.join(separator.join(row) for row in rows)
    lines = lines_of(decoded(text.encode()))
    assert [(line.number, line.cells["first_name"]) for line in lines] == [(2, "A, ; b"), (4, "E")]


def test_a_line_is_numbered_where_it_begins(session: Session, admin: Actor) -> None:
    text = 'email,last_name\na@example.org,"two\nlines"\nb@example.org,B\n'
    assert planned(session, admin, text) == [
        (2, "refused", "last_name: Write this on one line."),
        (4, "new", "role viewer"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Choose a file or paste its text."),
        (" \n\n", "Choose a file or paste its text."),
        ("a@example.org,Ann", "The first line must name the columns, with email among them."),
        ("email,shoe size\na@example.org,42", "There is no column “shoe size”."),
        ("email,\na@example.org,", "There is no column “(no name)”."),
        ("first_name,last_name\nA,B", "The column email is missing"),
        ("email,Email\na@example.org,b@example.org", "The column email is there twice."),
        ("email,role", "There is a header but no line below it."),
        ('email\n"a@example.org\n', "Line 2 cannot be read: a quotation mark in it is not closed"),
        ("email\n" + "a@example.org\n" * 5001, "There are 5,001 lines; at most 5,000 at once."),
        ("email\n" + "x" * 1024 * 1024, "This is more than 1 MiB."),
    ],
)
def test_a_file_that_cannot_be_read_says_why(text: str, words: str) -> None:
    assert message(text).startswith(words)


def test_a_file_that_is_no_utf8_names_the_line() -> None:
    with pytest.raises(Invalid, match="Line 2 is not UTF-8"):
        decoded("email\nj\u00fcrgen@example.org".encode("latin-1"))
    with pytest.raises(Invalid, match="larger than 1 MiB"):
        decoded(b"x" * (1024 * 1024 + 1))


def test_a_second_line_for_one_person_is_refused(session: Session, admin: Actor) -> None:
    text = "email,first_name\na@example.org,A\nb@example.org,B\nA@EXAMPLE.org,C\n"
    assert [one[1:] for one in planned(session, admin, text)][2] == (
        "refused",
        "email: Line 2 has the same email address.",
    )
    assert saved(session, admin, text) == ["new", "new", "refused"]


def test_a_line_with_too_few_or_too_many_cells_is_refused(session: Session, admin: Actor) -> None:
    text = "email,first_name\na@example.org\nb@example.org,B,C\n"
    assert planned(session, admin, text) == [
        (2, "refused", "It has 1 cells, and the header names 2."),
        (3, "refused", "It has 3 cells, and the header names 2."),
    ]


def test_what_looks_like_a_formula_is_data(session: Session, admin: Actor) -> None:
    assert saved(session, admin, "email,first_name\na@example.org,=HYPERLINK(1)\n") == ["new"]
    assert session.scalars(select(User.first_name)).all() == ["=HYPERLINK(1)"]


@pytest.mark.parametrize("cell", ["a\0b", "x" * 201, "\x07"])
def test_an_odd_cell_is_refused_by_name(session: Session, admin: Actor, cell: str) -> None:
    outcome = planned(session, admin, f"email,first_name\na@example.org,{cell}\nb\0@example.org,B\n")
    assert outcome[0][1] == "refused"
    assert outcome[0][2].startswith("first_name: ")
    assert outcome[1][1] == "refused"


def test_nobody_gives_a_role_with_more_rights_than_their_own(session: Session) -> None:
    session.scalars(select(Role).where(Role.kind == "member")).one().permissions = ["user:manage"]
    session.flush()
    mia = actor_for_user(make_user(session, "member", email="mia@example.org"), "test")
    make_user(session, "admin", email="boss@example.org")
    text = (
        "email,role,last_name\nnew@example.org,admin,X\nboss@example.org,,X\n"
        "mia@example.org,viewer,X\nok@example.org,member,X\n"
    )
    assert saved(session, mia, text) == ["refused", "refused", "refused", "new"]
    refusals = [detail for _line, _kind, detail in planned(session, mia, text)]
    assert "which you do not have yourself" in refusals[0]
    assert refusals[2] == "You cannot change your own role. Ask another administrator."


def test_the_last_two_administrators_are_not_both_demoted(session: Session, admin: Actor) -> None:
    for name in ("a", "b"):
        make_user(session, "admin", email=f"{name}@example.org")
    assert saved(session, admin, "email,role\na@example.org,member\nb@example.org,member\n") == [
        "changed",
        "refused",
    ]
    assert session.scalar(select(func.count(User.id)).join(Role).where(Role.kind == "admin")) == 1


def test_a_plan_is_told_from_one_that_has_changed(session: Session, admin: Actor) -> None:
    lines = lines_of("email,first_name\na@example.org,A\n")
    before = people_import.fingerprint(people_import.plan(session, admin, lines))
    assert people_import.fingerprint(people_import.plan(session, admin, lines)) == before
    make_user(session, email="a@example.org", first_name="Z")
    assert people_import.fingerprint(people_import.plan(session, admin, lines)) != before


def test_a_large_file_is_planned_and_saved(session: Session, admin: Actor) -> None:
    text = "email,first_name\n" + "".join(f"p{number}@example.org,P{number}\n" for number in range(600))
    assert saved(session, admin, text) == ["new"] * 600
    outcomes = people_import.plan(session, admin, lines_of(text))
    assert people_import.counts(outcomes)[LineKind.UNCHANGED] == 600
