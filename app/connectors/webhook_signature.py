"""Signing webhooks (Standard Webhooks 1.0.0), with one secret or, while it is being rotated, with two."""

from __future__ import annotations

from datetime import datetime

from standardwebhooks import Webhook

from app.config.checks import LONGEST_SECRET, SECRET_PREFIX, SHORTEST_SECRET, is_signing_secret

MAX_SECRETS = 2


class BadSigningSecret(ValueError):
    """The text is no signing secret; the message says what one is and never holds it."""


def signing_secrets(text: str) -> list[str]:
    """The one or two secrets in `text`, newest first, white space between; raises BadSigningSecret."""
    secrets = text.split()
    if not 1 <= len(secrets) <= MAX_SECRETS or not all(map(is_signing_secret, secrets)):
        raise BadSigningSecret(
            f"A signing secret is {SECRET_PREFIX} and {SHORTEST_SECRET} to {LONGEST_SECRET} bytes in base64. "
            "While it is being rotated, give the new one, a space, and the old one."
        )
    return secrets


def signatures(text: str, *, message_id: str, at: datetime, body: bytes) -> str:
    """The value of `webhook-signature`: one signature for each secret, so that either verifies."""
    return " ".join(
        Webhook(secret).sign(message_id, at, body.decode("utf-8")) for secret in signing_secrets(text)
    )
