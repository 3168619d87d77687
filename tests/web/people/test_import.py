"""Importing people: a report of every line first, then the same lines saved."""

from __future__ import annotations

import io

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import User
from tests.support.factories import make_user
from tests.support.page import Page
from tests.support.web.readers import Reader

HEADER = "email,first_name,last_name,role\n"


def checked(reader: Reader, text: str, *, expect: int = 200) -> Page:
    return reader.client.get("/people/import").form("import").fill(csv=text).submit(expect=expect)


def people(session: Session) -> int:
    session.rollback()
    return session.scalar(select(func.count(User.id))) or 0


def test_lines_are_reported_and_then_saved(alice: Reader, web: Session) -> None:
    make_user(web, email="ann@example.org", first_name="Ann", last_name="Old")
    web.commit()
    page = checked(alice, HEADER + "ann@example.org,Ann,New,\nnew@example.org,Nia,,member\nnonsense,,,\n")
    assert [tuple(row.values()) for row in page.table("lines")] == [
        ("4", "Refused", "nonsense", "email: Enter an email address, such as ana@example.com."),
        ("2", "Changed", "ann@example.org", "last_name: Old → New"),
        ("3", "New", "new@example.org", "role member"),
    ]
    assert people(web) == 2
    done = page.form("import").submit("Save 2 lines", expect=200)
    assert "2 lines saved, 1 refused." in done.text
    assert people(web) == 3
    assert "nonsense" in done.form("import")["csv"]
    again = done.form("import").submit("Check the lines", expect=200)
    assert [row["Outcome"] for row in again.table("lines")] == ["Refused", "Unchanged", "Unchanged"]
    assert "checked" not in again.form("import").fields


def test_a_file_may_be_chosen_and_its_text_stays(alice: Reader, web: Session) -> None:
    token = alice.client.get("/people/import").form("import")["csrf_token"]
    data = {
        "csrf_token": token,
        "csv": "",
        "file": (
            io.BytesIO(("\ufeff" + HEADER).encode() + b"a@example.org;;;\r\nb@example.org,B,,\r\n"),
            "p.csv",
        ),
    }
    answer = alice.client.flask.post("/people/import", data=data, content_type="multipart/form-data")
    page = Page(alice.client, answer, "/people/import")
    assert [row["Outcome"] for row in page.table("lines")] == ["Refused", "New"]
    assert "b@example.org,B,," in page.form("import")["csv"]
    page.form("import").submit("Save 1 line", expect=200)
    assert people(web) == 2


def test_a_file_of_a_mebibyte_is_taken_and_more_is_refused_in_words(alice: Reader, web: Session) -> None:
    form = alice.client.get("/people/import").form("import")
    row = "someone@example.org," + "x" * 230 + ",,\n"
    for size, status, words in (
        (1024 * 1024, 200, ""),
        (1024 * 1024 + 1, 422, "The file is larger than 1 MiB."),
    ):
        content = (HEADER + row * 5000)[:size].encode()
        assert len(content) == size
        # By hand, since the test client would leave a file of this size open.
        part = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
        body = (
            f"{part.format('csrf_token', '')}{form['csrf_token']}\r\n".encode()
            + part.format("file", '; filename="p.csv"').encode()
            + content
            + b"\r\n--x--\r\n"
        )
        answer = alice.client.flask.post(
            "/people/import", data=body, content_type="multipart/form-data; boundary=x"
        )
        assert answer.status_code == status
        assert words in answer.get_data(as_text=True)
    assert people(web) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Choose a file or paste its text."),
        ("email,shoe size\na@example.org,42", "There is no column “shoe size”."),
        ('email\n"never closed', "Line 2 cannot be read"),
        ("email,<b>{{7*7}}</b>\nx,y", "There is no column “<b>{{7*7}}</b>”."),
    ],
)
def test_text_that_cannot_be_read_is_refused_and_stays(alice: Reader, text: str, message: str) -> None:
    page = checked(alice, text, expect=422)
    assert message in page.errors()["csv"]
    assert page.form("import")["csv"].strip() == text


def test_what_changed_since_the_check_is_not_saved(alice: Reader, web: Session) -> None:
    page = checked(alice, HEADER + "new@example.org,Nia,,\n")
    edited = (
        page.form("import").fill(csv=HEADER + "other@example.org,Bo,,\n").submit("Save 1 line", expect=409)
    )
    assert "Nothing is saved: the text or the directory has changed since the check." in edited.text
    assert people(web) == 1
    make_user(web, email="other@example.org", first_name="Zoe", last_name="")
    web.commit()
    saved_meanwhile = edited.form("import").submit("Save 1 line", expect=409)
    assert saved_meanwhile.table("lines")[0]["Details"] == "first_name: Zoe → Bo"
    saved_meanwhile.form("import").submit("Save 1 line", expect=200)
    web.rollback()
    assert web.scalars(select(User.first_name).where(User.email == "other@example.org")).one() == "Bo"


def test_odd_cells_are_shown_as_they_are(alice: Reader) -> None:
    page = checked(alice, HEADER + "<img src=x>@example.org,{{7*7}},=1+1,\n🙂,a,b,c\n")
    assert page.table("lines")[0]["Email"] == "<img src=x>@example.org"
    assert page.table("lines")[1]["Email"] == "🙂"


def test_many_lines_are_counted_and_some_listed(alice: Reader) -> None:
    text = HEADER + "".join(f"p{number}@example.org,P,,\n" for number in range(300)) + "bad,,,\n"
    page = checked(alice, text)
    assert len(page.table("lines")) == 100
    assert page.table("lines")[0]["Outcome"] == "Refused"
    assert "201 further lines are counted above and not listed." in page.text


def test_it_needs_the_right_to_manage_people(bob: Reader, charlie: Reader, web: Session) -> None:
    assert "Import…" not in bob.client.get("/people").text
    for reader in (bob, charlie):
        reader.client.get("/people/import", expect=403)
        reader.client.post("/people/import", {"csv": HEADER + "a@example.org,,,\n", "save": "1"}, expect=403)
    assert people(web) == 2


def test_saving_needs_the_token_of_the_page(alice: Reader, web: Session) -> None:
    alice.client.post("/people/import", {"csv": HEADER + "a@example.org,,,\n"}, expect=400, csrf=False)
    assert people(web) == 1
