"""What a way of signing in says of itself, and what it does with a request."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote

from app.connectors.http import HttpClient
from app.connectors.messages import ConfigurationError, Reply, Request
from app.crypto import Secret
from app.domain.runs.calls import ConnectionData
from app.schemas.kinds import MAX_NAME, clean_text

MISSING = "The connection has no credential. Add one on the connection's page."
# A captured text that holds fewer characters of a secret may well be something else.
_TELLING = 8
MAX_PAIRS = 20


def unchanged(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class ConfigField:
    """A field of the configuration that a method needs, the same in the API, the form and the stored record.

    `required` is the message when it is empty; `default` is what is kept then.  `check` returns the text as it is
    kept, or raises ValueError with a sentence; it never gets an empty one.  `chooses_receiver`: it decides who gets
    the credential, so that only those who may enter one may change it.  `on_page`: the connection's page shows it,
    with `absent` in place of an empty one.  Of `pairs`, an object of names and values, `check` looks at each name.
    """

    name: str
    label: str
    kind: Literal["text", "url", "select", "pairs"] = "text"
    limit: int = MAX_NAME
    hint: str = ""
    required: str = ""
    default: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    check: Callable[[str], str] = unchanged
    chooses_receiver: bool = False
    on_page: bool = True
    absent: str = ""

    def read(self, text: str) -> str:
        """The text as it is kept; raises ValueError with a sentence."""
        if not text:
            return text
        words = [word for word, _ in self.choices]
        if words and text not in words:
            raise ValueError(f"Choose one of: {', '.join(words)}.")
        return self.check(text)

    def read_pairs(self, given: object) -> dict[str, str]:
        """The object as it is kept; raises ValueError with a sentence."""
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            raise ValueError("This must be an object of names and values.")
        if len(given) > MAX_PAIRS:
            raise ValueError(f"Use at most {MAX_PAIRS}.")
        pairs: dict[str, str] = {}
        for name, value in given.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise ValueError("Names and values must be text.")
            kept = self.check(name.strip())
            if kept in pairs:
                raise ValueError(f"{kept} is there twice.")
            pairs[kept] = clean_text(value, limit=self.limit)
        return pairs

    def shown(self, kept: object) -> str:
        """What the connection's page says of it."""
        if isinstance(kept, Mapping):
            kept = ", ".join(f"{name}={value}" for name, value in kept.items())
        return str(kept or self.absent)


@dataclass(frozen=True, slots=True)
class SignedReply:
    """An answer, and what the request carried that must not be kept from it."""

    reply: Reply
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    def gives_away(self, value: object) -> bool:
        """True for a value of the answer that repeats a secret, as systems that echo their requests do."""
        if not isinstance(value, str):
            return False
        return any(value == one or (len(one) >= _TELLING and one in value) for one in self.secrets)

    def gives_away_any(self, value: object) -> bool:
        """As `gives_away`, of a value or of any in a list."""
        return any(self.gives_away(one) for one in (value if isinstance(value, list) else [value]))

    def hints_at(self, text: str) -> bool:
        """As `gives_away`, of text that is shown: also in another case, encoded, or by a piece of it."""
        return any(_piece_of(form, text) for one in self.secrets for form in _forms(one))


def _forms(secret: str) -> list[str]:
    """The secret as systems repeat it: as it is, percent-encoded, and in Base64 wherever it begins in it."""
    raw = secret.encode()
    encoded = [base64.b64encode(b"x" * at + raw).decode()[4 if at else 0 :] for at in range(3)]
    return [_folded(one) for one in (secret, quote(secret, safe=""), *encoded)]


def _piece_of(secret: str, text: str) -> bool:
    folded = _folded(text)
    if len(secret) < _TELLING:
        return bool(secret) and secret in folded
    return any(folded[at : at + _TELLING] in secret for at in range(len(folded) - _TELLING + 1))


def _folded(text: str) -> str:
    return "".join(one for one in text.casefold() if one.isalnum())


class AuthMethod:
    """A way of signing in. A subclass gives the words and fields, and `sign`; one that asks for a token, or answers
    a challenge, gives `send` instead.

    `name` is stored and stays for ever.  `label` stands in the form's choice, `short` on pages, and `noun` is what
    its credential is called.
    """

    name: str
    label: str
    short: str
    noun: str = "credential"
    fields: tuple[ConfigField, ...] = ()
    needs_credential: bool = True

    def keep(self, config: Mapping[str, Any], value: str) -> str:
        """The credential as it is kept; raises ConfigurationError, without the value, for one that is of no use."""
        text = value.strip()  # whoever copied a token brought white space along
        self.sign(Request("GET", ""), config, text)
        return text

    def sign(self, request: Request, config: Mapping[str, Any], credential: str) -> Request:
        """The request with what proves who is calling, from all of it; raises ConfigurationError."""
        raise NotImplementedError

    def send(
        self, request: Request, connection: ConnectionData, secret: Secret | None, client: HttpClient
    ) -> SignedReply:
        """Send the request signed, within its `timeout_seconds` in all; raises ConfigurationError and CallFailed."""
        credential = given(secret).reveal()
        signed = self.sign(request, connection.config, credential)
        return SignedReply(client.send(signed), _hidden(request, signed) | {credential})

    def shown(self, config: Mapping[str, Any], credential: str) -> Mapping[str, str]:
        """The headers that the credential makes, for a dry run: `credential` stands for what is not looked at."""
        raise NotImplementedError

    def why_unusable(self, status: int | None) -> str:
        """What a test that failed over the configuration came to, of which only the status was kept; may be empty."""
        return ""

    def facts(self, config: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Labels and values of its fields, for the connection's page."""
        shown = [(one.label, one.shown(config.get(one.name))) for one in self.fields if one.on_page]
        return [(label, value) for label, value in shown if value]


def given(secret: Secret | None) -> Secret:
    """The credential; raises ConfigurationError when there is none."""
    if secret is None or not secret.reveal():
        raise ConfigurationError(MISSING)
    return secret


def with_headers(request: Request, headers: Mapping[str, str]) -> Request:
    """The request with further headers."""
    return replace(request, headers={**request.headers, **headers})


def carried(value: str) -> str:
    """The credential as it stands in a header: visible ASCII, which every scheme in use keeps to."""
    if not (value.isascii() and value.isprintable()) or value != value.strip():
        raise ConfigurationError("The credential holds characters that a header cannot carry. Replace it.")
    return value


def _hidden(request: Request, signed: Request) -> frozenset[str]:
    """The secret part of each header that signing has added, without the name of its scheme."""
    added = {value for name, value in signed.headers.items() if request.headers.get(name) != value}
    return frozenset(value.rpartition(" ")[2] for value in added) - {""}
