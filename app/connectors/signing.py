"""Signing webhooks (Standard Webhooks 1.0.0), with one secret or, while it is being rotated, with two."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from standardwebhooks import Webhook

PREFIX = "whsec_"
MAX_SECRETS = 2
# The lengths that the standard asks for, in bytes.
SHORTEST = 24
LONGEST = 64


class BadSigningSecret(ValueError):
    """The text is no signing secret; the message says what one is and never holds it."""


def signing_secrets(text: str) -> list[str]:
    """The one or two secrets in `text`, newest first, white space between; raises BadSigningSecret."""
    secrets = text.split()
    if not 1 <= len(secrets) <= MAX_SECRETS or not all(map(_is_secret, secrets)):
        raise BadSigningSecret(
            f"A signing secret is {PREFIX} and {SHORTEST} to {LONGEST} bytes in base64. "
            "While it is being rotated, give the new one, a space, and the old one."
        )
    return secrets


def signatures(text: str, *, message_id: str, at: datetime, body: bytes) -> str:
    """The value of `webhook-signature`: one signature for each secret, so that either verifies."""
    return " ".join(
        Webhook(secret).sign(message_id, at, body.decode("utf-8")) for secret in signing_secrets(text)
    )


def _is_secret(text: str) -> bool:
    encoded = text.removeprefix(PREFIX).rstrip("=")
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return SHORTEST <= len(raw) <= LONGEST
