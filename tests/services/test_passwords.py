"""How passwords are hashed outside tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type
from flask import Flask

from app.services import passwords

PASSWORD = "correct horse battery"


@pytest.fixture
def real(only_sqlite: Flask) -> Iterator[None]:
    """Hashes at the cost that people's passwords have."""
    before = only_sqlite.config.pop("PASSWORD_HASH_COST")
    with only_sqlite.app_context():
        yield
    only_sqlite.config["PASSWORD_HASH_COST"] = before


def test_the_cost_is_what_owasp_asks_of_argon2id(real: None) -> None:
    made = passwords.hash_password(PASSWORD)
    found = extract_parameters(made)
    assert (found.type, found.memory_cost, found.time_cost, found.parallelism) == (Type.ID, 19456, 2, 1)
    assert (found.salt_len, found.hash_len) == (16, 32)
    assert passwords.matches(made, PASSWORD)
    assert not passwords.matches(made, PASSWORD + "x")


def test_nobodys_password_is_checked_at_the_same_cost(real: None) -> None:
    nobody = passwords._current()[1]
    assert extract_parameters(nobody) == extract_parameters(passwords.hash_password(PASSWORD))
    assert not passwords.matches(None, "nobody's password")
    assert not passwords.matches("no hash at all", PASSWORD)
