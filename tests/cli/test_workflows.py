"""The commands for workflows as files, as an operator types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from app.extensions import db
from app.models import AuditEvent, WorkflowVersion
from app.services.transaction import transaction
from tests.support.factories import http_step, make_application, make_connection, make_workflow


def run(app: Flask, *words: str, **options: str) -> Result:
    return app.test_cli_runner().invoke(args=["workflow", *words], **options)  # type: ignore[arg-type]


@pytest.fixture
def console(only_sqlite: Flask) -> Flask:
    """Jira with a workflow of one step, and an empty copy of Jira."""
    with only_sqlite.app_context(), transaction() as session:
        jira = make_application(session, name="Jira")
        api = make_connection(session, jira, name="API")
        make_workflow(session, jira, http_step(connection_id=api.id), name="Provision", is_enabled=False)
        make_connection(session, make_application(session, name="Staging"), name="API")
    return only_sqlite


@pytest.fixture
def file(console: Flask, tmp_path: Path) -> Path:
    """The workflow, exported."""
    path = tmp_path / "jira.yaml"
    result = run(console, "export", "1", "--output", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    return path


def numbers(app: Flask) -> list[int]:
    with app.app_context():
        return list(db.session.scalars(select(WorkflowVersion.number).order_by(WorkflowVersion.id)))


def change(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_the_list_names_the_numbers(console: Flask) -> None:
    assert run(console, "list").output == "1\tJira\taccess_granted\tversion 1\tdisabled\tProvision\n"


def test_what_is_printed_is_what_is_written(console: Flask, file: Path) -> None:
    result = run(console, "export", "1")
    assert result.exit_code == 0
    assert result.stdout == file.read_text(encoding="utf-8")
    assert "connection: API\n" in result.stdout


def test_a_round_trip_says_that_nothing_would_change(console: Flask, file: Path) -> None:
    for options in ([], ["--yes"]):
        result = run(console, "import", str(file), *options)
        assert result.exit_code == 0
        assert result.output.splitlines()[-1] == "Nothing would change."
    assert numbers(console) == [1]


def test_the_difference_is_printed_and_saved_only_when_asked(console: Flask, file: Path) -> None:
    change(file, "path: /Users", "path: /People")
    result = run(console, "import", str(file))
    assert result.exit_code == 0
    assert result.output.splitlines()[0] == "Provision of Jira for Access granted, disabled, version 1"
    assert "  “Create”: path changed from /Users to /People." in result.output
    assert result.output.splitlines()[-1] == "Nothing is saved: add --yes to save."
    assert numbers(console) == [1]
    result = run(console, "import", str(file), "--yes")
    assert result.output.splitlines()[-1] == "Saved as version 2."
    assert numbers(console) == [1, 2]
    with console.app_context():
        found = set(db.session.execute(select(AuditEvent.action, AuditEvent.actor, AuditEvent.source)))
    assert found == {("workflow.save", "Command line", "cli")}


def test_it_goes_into_another_application_from_standard_input(console: Flask, file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    result = run(console, "import", "-", "--application", "staging", "--yes", input=text)
    assert result.exit_code == 0
    assert result.output.splitlines()[:2] == [
        "Staging gets a workflow for Access granted, disabled: Provision",
        "The file is of the application Jira.",
    ]
    assert run(console, "list").output.count("Provision") == 2


def test_errors_name_file_and_line_and_the_exit_is_1(console: Flask, file: Path) -> None:
    change(file, "connection: API", "connection: AIP")
    result = run(console, "import", str(file), "--yes")
    assert result.exit_code == 1
    line = file.read_text(encoding="utf-8").splitlines().index("  connection: AIP") + 1
    assert f"{file}: Line {line}: steps[0].connection: There is no connection “AIP”" in result.output
    assert numbers(console) == [1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["export", "9"], "There is no workflow 9."),
        (["export", "1", "--version", "9"], "This workflow has no version 9."),
        (["import", "FILE", "--application", "Nowhere"], "There is no application “Nowhere”."),
    ],
)
def test_what_is_not_there_is_said_in_one_line(
    console: Flask, file: Path, words: list[str], told: str
) -> None:
    result = run(console, *[str(file) if word == "FILE" else word for word in words])
    assert result.exit_code == 1
    assert told in result.output
    assert "Traceback" not in result.output


def test_a_file_that_is_no_text_is_refused(console: Flask, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"format: 1\nname: \xff\n")
    result = run(console, "import", str(path))
    assert result.exit_code == 1
    assert "Line 2: This is not UTF-8." in result.output
