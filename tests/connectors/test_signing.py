"""Signing webhooks: either secret of a rotation verifies."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from app.connectors.signing import BadSigningSecret, signatures, signing_secrets

OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()


@pytest.mark.parametrize("receiver", [OLD, NEW])
def test_a_receiver_with_either_secret_is_satisfied(receiver: str) -> None:
    at = datetime.now(UTC)
    signed = signatures(f"{NEW} {OLD}", message_id="msg_1", at=at, body=b'{"a": "\xc3\xa9"}')
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signed,
    }
    assert Webhook(receiver).verify('{"a": "é"}', headers) == {"a": "é"}


def test_the_newest_secret_signs_first() -> None:
    assert signing_secrets(f" {NEW}\n{OLD} ") == [NEW, OLD]


def test_padding_and_prefix_may_be_left_out() -> None:
    bare = NEW.removeprefix("whsec_").rstrip("=")
    assert signing_secrets(bare) == [bare]


@pytest.mark.parametrize(
    "text", ["", "hunter2", "whsec_QUJD", "whsec_" + "!" * 40, f"{NEW} {NEW} {NEW}", "é" * 40]
)
def test_what_is_no_secret_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(BadSigningSecret) as caught:
        signing_secrets(text)
    assert not text or text not in str(caught.value)
