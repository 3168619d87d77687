"""Hashing and judging passwords. Slow on purpose: checking one never belongs inside a transaction."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from flask import current_app

from app.domain.json_reader import unstorable
from app.errors import Invalid

SHORTEST = 12
LONGEST = 1_000
# OWASP Password Storage Cheat Sheet, Argon2id: memory in KiB, passes, lanes.
_COST = (19_456, 2, 1)
# For tests alone, which hash hundreds: the least that the algorithm takes.
_TEST_COST = (8, 1, 1)


@lru_cache(maxsize=2)
def _hasher(cost: tuple[int, int, int]) -> tuple[PasswordHasher, str]:
    """A hasher, and the hash of nobody's password for those who have none."""
    memory, passes, lanes = cost
    hasher = PasswordHasher(memory_cost=memory, time_cost=passes, parallelism=lanes)
    return hasher, hasher.hash("nobody's password")


def _current() -> tuple[PasswordHasher, str]:
    return _hasher(_TEST_COST if current_app.config.get("PASSWORD_HASH_COST") == "test" else _COST)


def hash_password(password: str) -> str:
    """Argon2id in PHC form, over the NFC form of the password."""
    return _current()[0].hash(_composed(password))


def matches(password_hash: str | None, password: str) -> bool:
    """Whether the password is the hashed one. Takes as long when there is no hash: time tells nothing."""
    hasher, nobody = _current()
    try:
        found = hasher.verify(password_hash or nobody, _composed(password[:LONGEST]))
    except (Argon2Error, InvalidHashError, UnicodeEncodeError):
        return False
    return found and password_hash is not None and len(password) <= LONGEST


def check_new_password(password: str, email: str, *, field: str = "password") -> None:
    """Raises Invalid unless it may be a password: length is what counts (NIST SP 800-63B §5.1.1)."""
    if unstorable(password):
        raise Invalid.field(field, "The password holds characters that cannot be used.")
    if len(password) < SHORTEST:
        raise Invalid.field(field, f"Use at least {SHORTEST} characters.")
    if len(password) > LONGEST:
        raise Invalid.field(field, f"Use at most {LONGEST:,} characters.")
    if password.strip().lower() == email.lower():
        raise Invalid.field(field, "The password cannot be the email address.")
    if len(set(password)) < 4:
        raise Invalid.field(field, "Use more than a few different characters.")


def _composed(password: str) -> str:
    return unicodedata.normalize("NFC", password)
