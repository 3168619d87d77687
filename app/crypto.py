"""Sealing credentials: encryption under a ring of keys, each ciphertext bound to the record it belongs to."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class KeyLost(Exception):
    """No key of the ring opens the token, or it was sealed for another record."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A ciphertext and the fingerprint of the key that made it; both may be stored."""

    token: str = field(repr=False)
    key_id: str


class Secret:
    """An opened value that shows itself only by `reveal()`: not in a log, a traceback, a page or a pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "<sealed>"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return "<sealed>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not for copying into files or queues")


class KeyRing:
    """Fernet keys, newest first: the first seals, all of them open.

    Raises ValueError when there is no key, or one is not 32 bytes in URL-safe base64.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("there is no key")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise ValueError("a key is 32 bytes in URL-safe base64, as made by Fernet.generate_key") from None
        self._key_ids = [key_id(key) for key in keys]

    @property
    def newest_key_id(self) -> str:
        """Fingerprint of the key that seals."""
        return self._key_ids[0]

    @property
    def key_ids(self) -> list[str]:
        """Fingerprints of all keys, newest first."""
        return list(self._key_ids)

    def seal(self, text: str, bound_to: str | int) -> Sealed:
        """Encrypt `text` for the record `bound_to`, such as the connection's id."""
        inside = json.dumps({"for": str(bound_to), "text": text}).encode("ascii")
        return Sealed(self._fernet.encrypt(inside).decode("ascii"), self.newest_key_id)

    def open(self, token: str, bound_to: str | int) -> Secret:
        """Decrypt a token that was sealed for `bound_to`; raises KeyLost."""
        try:
            inside = json.loads(self._fernet.decrypt(token))
            if inside["for"] == str(bound_to):
                return Secret(inside["text"])
        except (InvalidToken, ValueError, KeyError, TypeError):
            # Fall through: one message for every way in which a token does not open.
            pass
        raise KeyLost("no key opens this credential")

    def rotate(self, token: str) -> Sealed:
        """Encrypt a token anew under the newest key, still bound to the same record; raises KeyLost."""
        try:
            return Sealed(self._fernet.rotate(token).decode("ascii"), self.newest_key_id)
        except (InvalidToken, ValueError, TypeError):
            raise KeyLost("no key opens this credential") from None


def key_id(key: str) -> str:
    """A short fingerprint that names a key without giving it away.

    Hashed over the decoded bytes, so that every spelling of a key has one fingerprint; the key holds 256
    random bits, so that the hash cannot be searched.
    """
    raw = base64.urlsafe_b64decode(key)
    return hashlib.sha256(b"access-automation key id\x00" + raw).hexdigest()[:12]


def bound_to(connection_id: int) -> str:
    """What a connection's credential is sealed to: in another connection's row it does not open."""
    return f"connection:{connection_id}"


def bound_to_run(run_id: int) -> str:
    """What a run's one-off values are sealed to."""
    return f"run:{run_id}"
