"""The closed list of things a token may do to its value."""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from hashlib import md5, sha256

from app.domain.json_reader import Scalar
from app.domain.mapping.dates import date_text
from app.domain.mapping.escapes import in_json, in_ldap, in_scim, in_xml

Value = Scalar | list[Scalar]

MAX_TRUNCATE = 2_000
A_LIST = 'is a list: join it, as in join(",")'
_LARGEST = 2**64
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
# Letters that Unicode does not split into a base letter and a mark.
_LETTERS = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i"}
_PLAIN = str.maketrans(_LETTERS | dict.fromkeys("'’", ""))
_ASCII = str.maketrans(
    _LETTERS
    | {one.upper(): plain.upper() for one, plain in _LETTERS.items() if len(one.upper()) == 1}
    | {"ẞ": "SS", **dict.fromkeys("‘’", "'"), **dict.fromkeys("“”", '"'), **dict.fromkeys("‐‑–—", "-")}
)
_NOT_IN_SLUG = re.compile(r"[^a-z0-9]+")


class Placeholder(str):
    """Stands for a value that is not known yet, such as `‹steps.create.id›` in a dry-run.

    Filters leave it alone, a path shows it unencoded, and it is never empty.
    """

    __slots__ = ()


def as_text(value: Scalar) -> str:
    """How a value reads inside text: booleans as in JSON, nothing as nothing."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def is_empty(value: object) -> bool:
    """True for nothing, for text of blanks alone, and for a list without entries."""
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def slug(text: str) -> str:
    """Lower-case ASCII letters and digits joined by single hyphens: “Zoë O’Hara” becomes `zoe-ohara`."""
    plain = unicodedata.normalize("NFKD", text.lower().translate(_PLAIN)).encode("ascii", "ignore").decode()
    return _NOT_IN_SLUG.sub("-", plain).strip("-")


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text.translate(_ASCII)).encode("ascii", "ignore").decode()


def _number(value: Scalar) -> Scalar:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = as_text(value).strip()
    if not _NUMBER.fullmatch(text):
        raise ValueError("is no number")
    number = float(text) if "." in text else int(text)
    if abs(number) >= _LARGEST or Decimal(repr(number)) != Decimal(text):
        raise ValueError("has more digits than a number can hold")
    return number


@dataclass(frozen=True, slots=True)
class Filter:
    """What is known of a filter. `example` is how it is written, `does` what it then makes of the value.

    It takes up to so many quoted texts, of which the first must be there, or one number.
    """

    example: str
    does: str
    takes: int = 0
    number: bool = False


# The one list: what templates may use, what the editor offers and what the documents say.
FILTERS: dict[str, Filter] = {
    "lower": Filter("lower", "in small letters"),
    "upper": Filter("upper", "in capital letters"),
    "trim": Filter("trim", "without blanks at both ends"),
    "slug": Filter("slug", "in small plain letters, digits and hyphens: “Zoë O’Hara” is zoe-ohara"),
    "ascii": Filter("ascii", "in plain letters: “Zoë Łuk” is “Zoe Luk”"),
    "truncate": Filter("truncate(8)", "its first 8 characters", takes=1, number=True),
    "before": Filter(
        'before("@")', "what stands before the first @, or all of it where there is none", takes=1
    ),
    "after": Filter('after("@")', "what stands after the first @, or nothing where there is none", takes=1),
    "default": Filter('default("none")', "“none” where it is empty", takes=1),
    "date": Filter(
        'date("%Y-%m-%d", "Europe/Paris")',
        "as a day in that zone; without one, in the console’s own",
        takes=2,
    ),
    "join": Filter('join(",")', "the entries of a list with commas between them", takes=1),
    "base64": Filter("base64", "in Base64"),
    "md5": Filter("md5", "its MD5 sum, in hexadecimal"),
    "sha256": Filter("sha256", "its SHA-256 sum, in hexadecimal"),
    "number": Filter("number", "as a number: text “42” is 42"),
    "text": Filter("text", "as text: the number 42 is “42”"),
    "json": Filter("json", "safe inside the quotes of JSON and GraphQL"),
    "scim": Filter("scim", "safe inside the quotes of a SCIM filter"),
    "ldap": Filter("ldap", "safe as a value of an LDAP filter"),
    "xml": Filter("xml", "safe as text or attribute of XML"),
    "omit_empty": Filter("omit_empty", "left out, with its name, where it is empty"),
}
_TEXT_FILTERS: dict[str, Callable[[str], Scalar]] = {
    "lower": str.lower,
    "upper": str.upper,
    "trim": str.strip,
    "slug": slug,
    "ascii": _ascii,
    "base64": lambda text: b64encode(text.encode()).decode(),
    "md5": lambda text: md5(text.encode(), usedforsecurity=False).hexdigest(),
    "sha256": lambda text: sha256(text.encode()).hexdigest(),
    "text": lambda text: text,
    "json": in_json,
    "scim": in_scim,
    "ldap": in_ldap,
    "xml": in_xml,
}


def apply_filter(name: str, arguments: tuple[str, ...], value: Value, zone: str | None = None) -> Value:
    """The value after one filter; what is empty stays so, except for default. `zone` is that of date without one.

    Raises ValueError for a value that the filter cannot be used on; its words follow the token's name.
    """
    if isinstance(value, Placeholder) or name == "omit_empty":
        return value
    if name == "default":
        return arguments[0] if is_empty(value) else value
    if value is None or value == "":
        return value
    if name == "join":
        return arguments[0].join([as_text(one) for one in (value if isinstance(value, list) else [value])])
    if isinstance(value, list):
        raise ValueError(A_LIST)
    return _applied(name, arguments, value, zone)


def _applied(name: str, arguments: tuple[str, ...], value: Scalar, zone: str | None) -> Scalar:
    text = as_text(value)
    match name:
        case "number":
            return _number(value)
        case "truncate":
            return text[: int(arguments[0])]
        case "before":
            return text.partition(arguments[0])[0]
        case "after":
            return text.partition(arguments[0])[2]
        case "date":
            return date_text(text, arguments[0], arguments[1] if len(arguments) > 1 else zone)
        case _:
            return _TEXT_FILTERS[name](text)
