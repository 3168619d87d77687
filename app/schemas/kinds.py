"""The kinds of value that input consists of: texts, ids, times, numbers, switches, with their limits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from app.domain.json_reader import unstorable

MAX_NAME = 200
MAX_TEXT = 2_000
MAX_ACCESS_LEVEL = 100
MAX_URL = 2_048
MAX_EMAIL = 254  # RFC 5321 §4.5.3.1.3, without the angle brackets
MAX_ID = 2**63 - 1

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE_BREAK = re.compile(r"[\t\n\u2028\u2029]")
_DIGITS = re.compile(r"[0-9]{1,19}")
# RFC 3339 §5.6; the zone is not optional, so that a time means one moment.
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_EMAIL = re.compile(r"[^\s@<>()\[\]\\,;:\"]+@[\w-]+(\.[\w-]+)*")


def clean_text(value: object, *, limit: int, lines: bool = False, noun: str = "text") -> str:
    """`value` as stored text: Unicode NFC, trimmed, without what no database or page can hold.

    `lines` allows line breaks and tabs.  Raises ValueError with a sentence.
    """
    if not isinstance(value, str):
        raise ValueError(f"This must be {noun}.")
    problem = unstorable(value)
    if problem:
        raise ValueError(problem)
    text = unicodedata.normalize("NFC", value.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if _CONTROL.search(text):
        raise ValueError("Leave out control characters.")
    if not lines and _LINE_BREAK.search(text):
        raise ValueError("Write this on one line.")
    if len(text) > limit:
        raise ValueError(f"Use at most {limit:,} characters.")
    return text


class _Kind:
    """A kind of value: `read` turns input into it or raises ValueError with a sentence."""

    ask = ""

    def read(self, value: Any) -> Any:
        raise NotImplementedError

    def json_schema(self) -> JsonSchemaValue:
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return self.json_schema()


@dataclass(frozen=True)
class Text(_Kind):
    """Text of at most `limit` characters. `ask` is the message when it is empty, and makes it required."""

    limit: int
    ask: str = ""
    lines: bool = False

    def read(self, value: Any) -> str:
        text = clean_text("" if value is None else value, limit=self.limit, lines=self.lines)
        if self.ask and not text:
            raise ValueError(self.ask)
        return text

    def json_schema(self) -> JsonSchemaValue:
        shape: dict[str, Any] = {"type": "string", "maxLength": self.limit}
        return {**shape, "minLength": 1} if self.ask else shape


@dataclass(frozen=True)
class Email(_Kind):
    """An email address, kept in lower case: the key by which a person is found."""

    ask: str = "Enter an email address."

    def read(self, value: Any) -> str:
        text = clean_text("" if value is None else value, limit=MAX_EMAIL).lower()
        if not text:
            raise ValueError(self.ask)
        if not _EMAIL.fullmatch(text):
            raise ValueError("Enter an email address, such as ana@example.com.")
        return text

    def json_schema(self) -> JsonSchemaValue:
        return {"type": "string", "format": "email", "maxLength": MAX_EMAIL}


@dataclass(frozen=True)
class RecordId(_Kind):
    """An id: digits as text (a number is taken as well), up to 2^63 - 1; an int from here on."""

    ask: str = "Choose one."

    def read(self, value: Any) -> int:
        if value is None or value == "":
            raise ValueError(self.ask)
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not _DIGITS.fullmatch(text.strip()):
            raise ValueError("This is no id: ids are digits.")
        if not 1 <= int(text) <= MAX_ID:
            raise ValueError("There is no record with this id.")
        return int(text)

    def json_schema(self) -> JsonSchemaValue:
        return {"type": "string", "pattern": "^[0-9]{1,19}$"}


@dataclass(frozen=True)
class Moment(_Kind):
    """A time with its zone (RFC 3339), in UTC from here on; blank is none."""

    def read(self, value: Any) -> datetime | None:
        if value is None or value == "":
            return None
        try:
            at = value if isinstance(value, datetime) else _from_rfc3339(value)
            if at.tzinfo is None:
                raise ValueError
            return at.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError("Enter a time with its zone, such as 2026-11-30T09:00:00Z.") from None

    def json_schema(self) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}


def _from_rfc3339(value: object) -> datetime:
    if not isinstance(value, str) or not _TIME.fullmatch(value.strip()):
        raise ValueError
    return datetime.fromisoformat(value.strip().upper())


@dataclass(frozen=True)
class Number(_Kind):
    """A number from `low` to `high`; `whole` refuses fractions. Text of digits is taken; blank is `blank`."""

    low: float
    high: float
    whole: bool = True
    blank: float | None = None

    def read(self, value: Any) -> float | int | None:
        if value is None or value == "":
            return self.blank
        try:
            number = float(value) if not isinstance(value, bool) else None
        except (ValueError, OverflowError, TypeError):
            number = None
        # A comparison with "not a number" is false, so it is refused here as well.
        if number is None or not self.low <= number <= self.high or (self.whole and number != int(number)):
            kind = "a whole number" if self.whole else "a number"
            raise ValueError(f"Enter {kind} from {self.low:,g} to {self.high:,g}.")
        return int(number) if number == int(number) else number

    def json_schema(self) -> JsonSchemaValue:
        return {"type": "integer" if self.whole else "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Switch(_Kind):
    """True or false; a form's words for them are taken as well."""

    def read(self, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().lower() in _SWITCH_WORDS:
            return _SWITCH_WORDS[value.strip().lower()]
        raise ValueError("This must be true or false.")

    def json_schema(self) -> JsonSchemaValue:
        return {"type": "boolean"}


_SWITCH_WORDS = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False, "": False}


def record_id(text: object) -> int | None:
    """An id from an address or a query; None for what cannot be one."""
    try:
        return RecordId().read(text)
    except ValueError:
        return None


def record_ids(texts: Iterable[str | None]) -> list[int]:
    """The ids among these texts, each once, in order."""
    found = (record_id(one) for one in texts if one is not None)
    return sorted({one for one in found if one is not None})


NameText = Annotated[str, Text(MAX_NAME, ask="Enter a name.")]
ShortText = Annotated[str, Text(MAX_NAME)]
LongText = Annotated[str, Text(MAX_TEXT, lines=True)]
ReasonText = Annotated[str, Text(MAX_TEXT, ask="Enter a reason.", lines=True)]
AccessLevel = Annotated[str, Text(MAX_ACCESS_LEVEL)]
EmailText = Annotated[str, Email()]
Id = Annotated[int, RecordId()]
UserId = Annotated[int, RecordId("Choose a person.")]
ApplicationId = Annotated[int, RecordId("Choose an application.")]
GrantId = Annotated[int, RecordId("Choose a grant.")]
Time = Annotated[datetime | None, Moment()]
Flag = Annotated[bool, Switch()]
