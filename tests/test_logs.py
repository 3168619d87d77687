"""Logs: one line an event, nothing secret in it, nothing in it that drives a terminal."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
import structlog

from app.logs import configure_logging

SECRET = "s3cret-of-a-test"


class Output(io.StringIO):
    @property
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def logging_to(log_format: Literal["text", "json"]) -> Output:
    output = Output()
    configure_logging(log_format, stream=output)
    return output


def test_json_is_one_object_a_line_with_a_utc_time() -> None:
    output = logging_to("json")
    structlog.get_logger("app.runs").info("run.claimed", run_id=42)
    structlog.get_logger("app.runs").warning("run.lost", run_id=43, note="two\nlines")
    first, second = output.objects
    assert (first["event"], first["run_id"], first["level"], first["logger"]) == (
        "run.claimed",
        42,
        "info",
        "app.runs",
    )
    assert datetime.fromisoformat(first["timestamp"]).tzinfo == UTC
    assert second["note"] == "two\\nlines"


def test_text_names_event_and_fields() -> None:
    output = logging_to("text")
    structlog.get_logger("app.runs").info("run.claimed", run_id=42, worker="one two")
    assert output.lines[0][21:] == "info     run.claimed run_id=42 worker='one two' [app.runs]"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_standard_library_goes_the_same_way(log_format: Literal["text", "json"]) -> None:
    output = logging_to(log_format)
    logging.getLogger("gunicorn.error").warning("Worker %s left", 7)
    logging.getLogger("urllib3.connectionpool").info("Starting new connection to intranet.example")
    assert len(output.lines) == 1
    assert "Worker 7 left" in output.lines[0]


def test_fields_bound_to_the_context_are_on_each_line() -> None:
    output = logging_to("json")
    with structlog.contextvars.bound_contextvars(request_id="r-1", run_id=5):
        structlog.get_logger().info("step.sent")
        logging.getLogger("anybody").warning("said something")
    structlog.get_logger().info("later")
    assert [(line.get("request_id"), line.get("run_id")) for line in output.objects] == [
        ("r-1", 5),
        ("r-1", 5),
        (None, None),
    ]


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    "name",
    ["authorization", "Authorization", "password", "client_secret", "api_token", "credential", "Set-Cookie"],
)
def test_a_field_whose_name_says_secret_is_hidden_at_any_depth(
    log_format: Literal["text", "json"], name: str
) -> None:
    output = logging_to(log_format)
    log = structlog.get_logger()
    log.info("plain", **{name: SECRET})
    log.info("inside", headers={"Accept": "*/*", name: SECRET})
    log.info("deeper", request={"list": [{"headers": {name: [SECRET]}}]})
    log.info("bytes", body=SECRET.encode())
    assert SECRET not in output.getvalue()
    assert len(output.lines) == 4


def test_counts_under_such_a_name_stay() -> None:
    output = logging_to("json")
    structlog.get_logger().info("credentials.rotated", credentials=12, token_id=3, secret_set=True)
    line = output.objects[0]
    assert (line["credentials"], line["token_id"], line["secret_set"]) == (12, 3, True)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_password_in_a_url_is_hidden(log_format: Literal["text", "json"]) -> None:
    output = logging_to(log_format)
    structlog.get_logger().info("connected", url=f"redis://ada:{SECRET}@cache.example:6379/0")
    logging.getLogger("driver").warning("cannot reach postgresql://ada:%s@db.example/console", SECRET)
    assert SECRET not in output.getvalue()
    assert "cache.example:6379/0" in output.lines[0]
    assert "db.example/console" in output.lines[1]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_value_cannot_forge_a_line_or_drive_the_terminal(log_format: Literal["text", "json"]) -> None:
    output = logging_to(log_format)
    evil = "ada\n10:00:00 info forged\r\x1b[2J\x9b\u2028\u202e\x00"
    structlog.get_logger().info(f"signed in {evil}", name=evil, inside={"name": [evil]})
    logging.getLogger("other").warning("hello %s", evil)
    assert len(output.getvalue().split("\n")) == 3
    assert not set("\r\x1b\x9b\u2028\u202e\x00") & set(output.getvalue())


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_exception_shows_its_lines_but_not_the_values_of_variables(
    log_format: Literal["text", "json"],
) -> None:
    output = logging_to(log_format)
    mine = SECRET[::-1]

    def breaks(hidden: str) -> None:
        raise RuntimeError("it broke \x1b[2J")

    try:
        breaks(mine)
    except RuntimeError:
        structlog.get_logger().exception("run.crashed", run_id=1)
    assert "RuntimeError: it broke" in output.getvalue()
    assert "\x1b" not in output.getvalue()
    assert mine not in output.getvalue()
    if log_format == "json":
        assert len(output.lines) == 1


def test_looking_at_the_revision_of_the_tables_is_not_told_and_changing_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = logging_to("text")
    migrations = logging.getLogger("alembic.runtime.migration")
    # The tool that checks imports switches off every logger there is when it runs in this process.
    monkeypatch.setattr(migrations, "disabled", False)
    migrations.info("Context impl %s.", "SQLiteImpl")
    migrations.info("Will assume %s DDL.", "transactional")
    migrations.info("Running %s %s -> %s", "upgrade", "0001", "0002")
    [line] = output.lines
    assert "Running upgrade 0001 -> 0002" in line
