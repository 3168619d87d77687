"""Signing webhooks: either secret of a rotation verifies."""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from app.connectors.webhook_signature import BadSigningSecret, signatures, signing_secrets

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


# The example that the standard's own libraries are tested with.
VECTOR_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", [VECTOR_SECRET, VECTOR_SECRET.removeprefix("whsec_")])
def test_the_published_example_comes_out_as_published(secret: str) -> None:
    at = datetime.fromtimestamp(1614265330, UTC)
    signed = signatures(
        secret, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", at=at, body=b'{"test": 2432232314}'
    )
    assert signed == VECTOR_SIGNATURE


@pytest.mark.parametrize("body", [b"", b"{}", '{"a":"é ☃"}'.encode(), b'{"b":"' + b"x" * 5000 + b'"}'])
def test_each_signature_is_the_hmac_that_the_standard_describes(body: bytes) -> None:
    at = datetime(2026, 3, 1, 12, 0, 0, 999_999, tzinfo=UTC)
    signed = signatures(f"{NEW} {OLD}", message_id="msg_1", at=at, body=body)
    content = b"msg_1." + str(int(at.timestamp())).encode() + b"." + body
    wanted = [
        "v1," + base64.b64encode(hmac.digest(key * 32, content, "sha256")).decode() for key in (b"n", b"o")
    ]
    assert signed.split(" ") == wanted
