"""Logs: an event name and fields, as text or as one JSON object a line, free of secrets and control codes."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Literal, TextIO

import structlog

HIDDEN = "[hidden]"
DEPTH = 6

_SECRET_NAME = re.compile(
    r"authori[sz]ation|passw(or)?d|secret|token|credential|cookie|(api|private)[_-]?key", re.IGNORECASE
)
_URL_PASSWORD = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]*@")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CONTROL_IN_TRACEBACK = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

Event = MutableMapping[str, Any]


def configure_logging(
    log_format: Literal["text", "json"] = "text", *, level: int = logging.INFO, stream: TextIO | None = None
) -> None:
    """Send every log line of the process, ours and the standard library's, to `stream` (standard error).

    Fields bound with `structlog.contextvars.bind_contextvars` (request_id, run_id) appear on each line.
    May be called again; the newest call wins.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
        escape_control_characters,
    ]
    renderer: structlog.typing.Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer(default=str)
    else:
        renderer = _text
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # At INFO these report each connection with its address, which may be somebody's internal host.
    for noisy in ("urllib3", "alembic.runtime.plugins", "rq.scheduler"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
    # Looking at which revision the tables have, as /readyz does all day, says these two lines each time.
    logging.getLogger("alembic.runtime.migration").addFilter(_says_what_is_done)
    logging.captureWarnings(True)


def _says_what_is_done(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(("Context impl", "Will assume"))


def redact(_logger: object, _method: str, event: Event) -> Event:
    """Hide the values of fields whose name says secret, at any depth, and the passwords inside URLs."""
    for name, value in event.items():
        event[name] = HIDDEN if _hides(name, value) else _without_passwords(value, DEPTH)
    return event


def escape_control_characters(_logger: object, _method: str, event: Event) -> Event:
    """Write control characters as text, so that a value cannot forge a line or drive a terminal."""
    for name, value in event.items():
        if isinstance(value, str):
            pattern = _CONTROL_IN_TRACEBACK if name == "exception" else _CONTROL
            event[name] = pattern.sub(_escaped, value)
    return event


def _hides(name: object, value: object) -> bool:
    # Numbers and switches under such a name are counts, ids and "is one set", never the secret itself.
    return not isinstance(value, int | float | None) and bool(_SECRET_NAME.search(str(name)))


def _without_passwords(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _URL_PASSWORD.sub(f"{HIDDEN}@", value)
    if isinstance(value, bytes | bytearray):
        return f"[{len(value)} bytes]"
    if isinstance(value, Mapping):
        if depth == 0:
            return "[too deep]"
        return {
            str(name): HIDDEN if _hides(name, inner) else _without_passwords(inner, depth - 1)
            for name, inner in value.items()
        }
    if isinstance(value, Sequence | set | frozenset):
        return [_without_passwords(inner, depth - 1) for inner in value] if depth else "[too deep]"
    return value


def _escaped(found: re.Match[str]) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(found[0]) or (
        f"\\x{ord(found[0]):02x}" if ord(found[0]) < 256 else f"\\u{ord(found[0]):04x}"
    )


def _text(_logger: object, _method: str, event: Event) -> str:
    """`2026-11-22T10:07:31Z info     run.claimed run_id=42 [app.workers]`, then the traceback if any."""
    exception = event.pop("exception", None)
    time = f"{str(event.pop('timestamp', ''))[:19]}Z"
    level = str(event.pop("level", ""))
    logger = event.pop("logger", None)
    message = event.pop("event", "")
    # A value is looked at once more as it is written: inside a list or an object it has not been escaped yet.
    fields = "".join(
        f" {name}={_CONTROL.sub(_escaped, _shown(value))}" for name, value in sorted(event.items())
    )
    line = f"{time} {level:<8} {message}{fields}{f' [{logger}]' if logger else ''}"
    return f"{line}\n{exception}" if exception else line


def _shown(value: object) -> str:
    if isinstance(value, str) and value and not set(value) & set(" =\"'"):
        return value
    return repr(value)
