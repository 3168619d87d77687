"""Sealed credentials: what opens them, what does not, and that they do not show."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from app.config.checks import new_fernet_key
from app.crypto import KeyLost, KeyRing, Secret, key_id

OLD, NEW = new_fernet_key(), new_fernet_key()
RING = KeyRing([OLD])


@given(st.text(max_size=200))
def test_what_was_sealed_opens_again(text: str) -> None:
    assert RING.open(RING.seal(text, 7).token, 7).reveal() == text


def test_a_token_shows_nothing_and_never_repeats() -> None:
    first, second = RING.seal("hunter2", 1), RING.seal("hunter2", 1)
    assert first.token != second.token
    assert "hunter2" not in first.token
    assert first.token not in repr(first)


def test_an_id_is_the_same_as_number_and_as_text() -> None:
    assert RING.open(RING.seal("x", 7).token, "7").reveal() == "x"


@pytest.mark.parametrize("other", [8, "", "07", "7 "])
def test_a_token_moved_to_another_record_does_not_open(other: str | int) -> None:
    with pytest.raises(KeyLost):
        RING.open(RING.seal("hunter2", 7).token, other)


def test_a_key_that_is_gone_loses_the_credential() -> None:
    with pytest.raises(KeyLost) as caught:
        KeyRing([NEW]).open(RING.seal("hunter2", 7).token, 7)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "x", "gAAAAA", "ü", "\x00", "gAAAAABm" + "A" * 200])
def test_what_is_no_token_does_not_open_or_rotate(token: str) -> None:
    with pytest.raises(KeyLost):
        RING.open(token, 7)
    with pytest.raises(KeyLost):
        RING.rotate(token)


@pytest.mark.parametrize("inside", [b"plain", b"[]", b"1", b"{}", b'{"for": "7"}', b"\xff"])
def test_a_token_of_the_right_key_with_strange_contents_does_not_open(inside: bytes) -> None:
    token = Fernet(OLD).encrypt(inside).decode()
    with pytest.raises(KeyLost):
        RING.open(token, 7)


def test_a_changed_token_does_not_open() -> None:
    token = RING.seal("hunter2", 7).token
    changed = token[:40] + ("A" if token[40] != "A" else "B") + token[41:]
    with pytest.raises(KeyLost):
        RING.open(changed, 7)


def test_rotation_moves_a_token_to_the_newest_key_and_keeps_its_record() -> None:
    sealed = RING.seal("hunter2", 7)
    both = KeyRing([NEW, OLD])
    assert both.open(sealed.token, 7).reveal() == "hunter2"
    moved = both.rotate(sealed.token)
    assert (sealed.key_id, moved.key_id) == (key_id(OLD), key_id(NEW))
    assert both.newest_key_id == key_id(NEW)
    assert both.key_ids == [key_id(NEW), key_id(OLD)]
    assert KeyRing([NEW]).open(moved.token, 7).reveal() == "hunter2"
    with pytest.raises(KeyLost):
        KeyRing([NEW]).open(moved.token, 8)


def test_a_new_key_seals_while_the_old_one_still_opens() -> None:
    assert KeyRing([NEW, OLD]).seal("x", 1).key_id == key_id(NEW)


def test_a_fingerprint_is_short_stable_and_not_part_of_the_key() -> None:
    assert key_id(OLD) == key_id(OLD) != key_id(NEW)
    assert len(key_id(OLD)) == 12
    assert key_id(OLD) not in OLD


@pytest.mark.parametrize("keys", [[], [""], ["short"], ["ü"], [OLD, "A" * 43], [OLD[:-4] + "!!!="]])
def test_keys_that_cannot_be_used_are_refused_without_being_shown(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="key") as caught:
        KeyRing(keys)
    shown = "".join(traceback.format_exception(caught.value))
    assert all(key not in shown for key in keys if len(key) > 10)


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("hunter2")
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret:>20}",
        str([secret]),
        str({1: secret}),
    ]
    assert all("hunter2" not in text for text in shown)
    assert shown[0] == "<sealed>"
    assert secret.reveal() == "hunter2"
    for carry_off in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            carry_off(secret)
