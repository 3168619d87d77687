"""The command that imports people, as an operator types it."""

from __future__ import annotations

from pathlib import Path

from click.testing import Result
from flask import Flask
from sqlalchemy import select

from app.extensions import db
from app.models import AuditEvent, User


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["people", "import", *words])


def file_with(folder: Path, text: str) -> str:
    file = folder / "people.csv"
    file.write_text(text, encoding="utf-8")
    return str(file)


def emails(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(User.email).order_by(User.id)))


def test_without_apply_it_only_reports(app: Flask, tmp_path: Path) -> None:
    file = file_with(tmp_path, "email,first_name\nann@example.org,Ann\n")
    result = run(app, file)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "line 2\tnew\tann@example.org\trole viewer",
        "1 new, 0 changed, 0 unchanged, 0 refused. Nothing is saved: add --apply to save.",
    ]
    assert emails(app) == []


def test_apply_saves_and_says_who_did(app: Flask, tmp_path: Path) -> None:
    file = file_with(tmp_path, "email,role\nann@example.org,admin\nbo@example.org,\n")
    result = run(app, file, "--apply")
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == "2 new, 0 changed, 0 unchanged, 0 refused. Saved."
    assert emails(app) == ["ann@example.org", "bo@example.org"]
    with app.app_context():
        assert set(db.session.execute(select(AuditEvent.actor, AuditEvent.source))) == {
            ("Command line", "cli")
        }
    assert run(app, file, "--apply").output == "0 new, 0 changed, 2 unchanged, 0 refused. Saved.\n"


def test_a_refused_line_is_named_and_the_exit_is_1(app: Flask, tmp_path: Path) -> None:
    file = file_with(tmp_path, "email,role\nnonsense,\nbo@example.org,\n")
    for options, saved in (([], []), (["--apply"], ["bo@example.org"])):
        result = run(app, file, *options)
        assert result.exit_code == 1
        assert "line 2\trefused\tnonsense\temail: Enter an email address" in result.output
        assert (
            result.output.splitlines()[-1] == "Error: Some lines are refused; the reasons stand beside them."
        )
        assert emails(app) == saved


def test_a_file_that_cannot_be_read_is_one_line(app: Flask, tmp_path: Path) -> None:
    for text, words in (
        ("email,shoe\na,b", "There is no column “shoe”. The columns are: email, first_name"),
        ("", "Choose a file or paste its text."),
    ):
        result = run(app, file_with(tmp_path, text))
        assert result.exit_code == 1
        assert "Traceback" not in result.output
        assert words in result.output.splitlines()[-1]
    assert run(app, str(tmp_path / "missing.csv")).exit_code == 2
