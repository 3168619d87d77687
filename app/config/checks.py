"""What each kind of setting must look like. Refusals name the setting, never a value that may be secret."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from pydantic import ValidationInfo
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.net.allowed import read_entry

SHOWN_OF_A_VALUE = 40
POSTGRES_DRIVER = "postgresql+psycopg"
SECRET_PREFIX = "whsec_"  # noqa: S105  how every signing secret begins
# The lengths of a signing secret that Standard Webhooks asks for, in bytes.
SHORTEST_SECRET = 24
LONGEST_SECRET = 64

ROLE_KINDS = ("admin", "member", "viewer")
_GROUP_ROLE = re.compile(rf"(.*?)=\s*({'|'.join(ROLE_KINDS)})\s*(?:,|$)", re.IGNORECASE)
# What an issuer may not hold: it is a plain address that others are made from (OpenID Connect Discovery §3).
_NOT_IN_AN_ISSUER = re.compile(r"[^\x21-\x7e]|[?#@\\%]|/\.\.?(/|$)")


class SettingsError(Exception):
    """A setting that cannot be used; as one line of text, `NAME: what is wrong; what it should be`."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(name, message)
        self.name = name
        self.message = message

    def __str__(self) -> str:
        return " ".join(f"{self.name}: {self.message}".split())


def name_of(info: ValidationInfo) -> str:
    """The setting that a validator is looking at, as people write it."""
    return (info.field_name or "").upper()


def split(value: object) -> tuple[str, ...]:
    """The entries of a comma separated list, trimmed, without empty ones."""
    entries: Iterable[object] = value.split(",") if isinstance(value, str) else value  # type: ignore[assignment]
    return tuple(entry for entry in (str(one).strip() for one in entries) if entry)


def whole_number(name: str, value: object, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    should = f"it should be a whole number from {low} to {high}"
    text = str(value).strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
        raise SettingsError(name, f"{shown(text)} is not a whole number; {should}")
    number = int(text)
    if not low <= number <= high:
        raise SettingsError(name, f"{number} is out of range; {should}")
    return number


def one_of(name: str, value: object, words: Sequence[str]) -> str:
    """One of `words`, in any case."""
    text = str(value).strip().lower()
    if text not in words:
        raise SettingsError(name, f"{shown(text)} is not known; it should be {' or '.join(words)}")
    return text


def time_zone(name: str, value: str) -> str:
    """A zone of the IANA's list, by its name; what this machine is set to is none."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        value = "localtime"
    if value == "localtime":
        raise SettingsError(name, "is no time zone; it should be a name such as Europe/Paris or UTC")
    return value


def flag(name: str, value: object) -> bool:
    """A switch: 1, true, yes or on; 0, false, no or off."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise SettingsError(name, f"{shown(text)} is not a switch; it should be 1 or 0")
    return text in ("1", "true", "yes", "on")


def database_url(name: str, value: str) -> str:
    """A SQLAlchemy URL for SQLite or PostgreSQL; `postgres://` and `postgresql://` get the driver we ship."""
    should = "it should be like postgresql://user:password@host/name or sqlite:////folder/file.sqlite3"
    try:
        url = make_url(re.sub(r"^postgres(ql)?://", f"{POSTGRES_DRIVER}://", value))
    except (ArgumentError, ValueError):
        # SQLAlchemy's message quotes the URL, password and all.
        raise SettingsError(name, f"is not a database URL; {should}") from None
    if url.drivername == POSTGRES_DRIVER:
        if not url.database:
            raise SettingsError(name, f"names no database; {should}")
    elif url.drivername == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise SettingsError(
                name, "is in memory, which web and workers cannot share; it should name a file"
            )
    else:
        raise SettingsError(name, f"{shown(url.drivername)} is not supported; {should}")
    return url.render_as_string(hide_password=False)


def database_endpoints(value: str) -> list[tuple[str, int]]:
    """Host and port of each database server that the URL names; empty for SQLite and Unix sockets."""
    if not value:
        return []
    url: URL = make_url(value)
    if url.drivername != POSTGRES_DRIVER:
        return []
    hosts = [url.host] if url.host else []
    in_query = url.query.get("host", ())
    for entry in (in_query,) if isinstance(in_query, str) else in_query:
        hosts += entry.split(",")
    found = []
    for host in hosts or ["localhost"]:
        if host.startswith("/"):
            continue
        bare, _, port = host.partition(":") if host.count(":") == 1 else (host, "", "")
        found.append((bare, int(port) if port.isdigit() else url.port or 5432))
    return found


def redis_url(name: str, value: str) -> str:
    """A URL of Redis or Valkey: redis://, rediss:// with a host, or unix:// with an absolute path."""
    should = "it should be like redis://:password@host:6379/0 or unix:///folder/redis.sock"
    parts = _parsed(name, value, should)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise SettingsError(name, f"has the scheme {shown(parts.scheme)}; {should}")
    if parts.scheme == "unix":
        if parts.path in ("", "/"):
            raise SettingsError(name, f"names no socket; {should}")
    elif not parts.hostname:
        raise SettingsError(name, f"names no host; {should}")
    elif not re.fullmatch(r"(/[0-9]{0,4})?", parts.path):
        raise SettingsError(name, f"the part after the host is not a database number; {should}")
    return value


def url(name: str, value: str, schemes: Sequence[str]) -> str:
    """An absolute URL with one of `schemes` and a host; a slash at its end is dropped."""
    starts = " or ".join(f"{scheme}://" for scheme in schemes)
    should = f"it should be an absolute URL that starts with {starts}"
    parts = _parsed(name, value, should)
    if parts.scheme not in schemes or not parts.hostname:
        raise SettingsError(name, f"is not such a URL; {should}")
    return value.rstrip("/")


def smtp_url(name: str, value: str) -> str:
    """A mail server: smtp:// or smtps://, perhaps with a sender (`from`) and `tls=off` or `tls=demand`."""
    value = url(name, value, ("smtp", "smtps"))
    should = "it should be like smtp://user:password@host:587?from=alerts@example.org"
    parts = urlsplit(value)
    options = parse_qsl(parts.query, keep_blank_values=True)
    known = {"from": r"[^@\s]+@[^@\s]+", "tls": "off|demand"}
    if parts.path or any(not re.fullmatch(known.get(key, "(?!)"), given) for key, given in options):
        raise SettingsError(name, f"has something after the host that is not known; {should}")
    if dict(options).get("tls") == "off" and (parts.scheme == "smtps" or parts.password):
        raise SettingsError(name, f"tls=off goes with smtp:// and without a password only; {should}")
    return value


def signing_secrets(name: str, value: str) -> str:
    """One signing secret or, while it is rotated, two; as Standard Webhooks has them."""
    if not 1 <= len(value.split()) <= 2 or not all(map(is_signing_secret, value.split())):
        raise SettingsError(
            name,
            f"is no signing secret; it should be {SECRET_PREFIX} and {SHORTEST_SECRET} to {LONGEST_SECRET} random "
            "bytes in base64, during a rotation the new one, a blank and the old one",
        )
    return value


def is_signing_secret(text: str) -> bool:
    """Whether `text` is a secret as Standard Webhooks 1.0.0 has them; the prefix may be left out."""
    encoded = text.removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return SHORTEST_SECRET <= len(raw) <= LONGEST_SECRET


def fernet_keys(name: str, keys: Sequence[str]) -> tuple[str, ...]:
    """Fernet keys: each 32 bytes in URL-safe base64 (the Fernet specification, "Key Format")."""
    for position, key in enumerate(keys, start=1):
        try:
            size = len(base64.b64decode(key.encode("ascii"), altchars=b"-_", validate=True))
        except (binascii.Error, ValueError):
            size = 0
        if size != 32:
            raise SettingsError(
                name,
                f"key {position} of {len(keys)} is not a Fernet key; each should be 32 random bytes in "
                "URL-safe base64, comma separated, newest first",
            )
    if len(set(keys)) < len(keys):
        raise SettingsError(name, "holds the same key twice; each should appear once, newest first")
    return tuple(keys)


def new_fernet_key() -> str:
    """A new random Fernet key."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii")


def egress_entries(name: str, entries: Sequence[str], *, production: bool) -> tuple[str, ...]:
    """Internal targets: host, host:port or network. In production one on this machine must name its port."""
    for entry in entries:
        try:
            read_entry(entry, production=production)
        except ValueError as problem:
            raise SettingsError(name, str(problem)) from None
    return tuple(entries)


def short_folder(data_dir: Path) -> Path:
    """A folder of this user with a short name, the same for every process that uses `data_dir`.

    It is under /tmp whatever TMPDIR says: a command in another shell must find the same one.
    """
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path("/tmp") / f"access-automation-{os.getuid()}-{digest}"  # noqa: S108  own_folder checks the owner


def own_folder(name: str, folder: Path) -> None:
    """Make `folder` (mode 0700) unless it is there; refuse one in /tmp that is not ours alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.parent != Path("/tmp"):  # noqa: S108  the one place where strangers can make folders first
        return
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise SettingsError(
            name, f"{folder} is open to other users; it should be a folder that only you can write"
        )


def _parsed(name: str, value: str, should: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise SettingsError(name, f"is not a URL; {should}") from None
    if re.search(r"[\s\x00-\x1f\x7f]", value):
        raise SettingsError(name, f"holds blanks or control characters; {should}")
    return parts


def shown(text: str) -> str:
    """A value that may be repeated: its beginning, without control characters, in quotes."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return repr(clean if len(clean) <= SHOWN_OF_A_VALUE else clean[:SHOWN_OF_A_VALUE] + "…")


def issuer(name: str, value: str) -> str:
    """A provider's issuer: without user name, query and fragment, in plain ASCII."""
    if _NOT_IN_AN_ISSUER.search(value):
        raise SettingsError(
            name,
            "is no issuer; it should be like https://id.example.org/realms/staff, as the provider says it",
        )
    return value


def group_roles(name: str, text: str) -> tuple[tuple[str, str], ...]:
    """Pairs of a group and a role, as `Name of the group=role`, comma separated; the name may hold both signs."""
    should = f"it should be like Identity admins=admin, Staff=member, with {', '.join(ROLE_KINDS)} as roles"
    found: dict[str, str] = {}
    rest = text.strip()
    while rest:
        entry = _GROUP_ROLE.match(rest)
        if entry is None:
            raise SettingsError(name, f"{shown(rest)} names no group and role; {should}")
        group, role = entry[1].strip(), entry[2].lower()
        if not group or group in found:
            raise SettingsError(name, f"{shown(group)} stands twice or is empty; {should}")
        found[group] = role
        rest = rest[entry.end() :].lstrip()
    return tuple(found.items())


def single_sign_on(triple: Mapping[str, str], more: Mapping[str, object]) -> None:
    """What single sign-on needs is there together or not at all; `more` means nothing without it."""
    missing = [name for name, value in triple.items() if not value]
    if missing and len(missing) < len(triple):
        raise SettingsError(missing[0], "is not set; single sign-on needs " + ", ".join(triple) + " together")
    unused = next((name for name, value in more.items() if value), None)
    if missing and unused:
        raise SettingsError(unused, "means nothing without single sign-on; it needs " + ", ".join(triple))
