"""A webhook: events posted to a URL, signed by the Standard Webhooks scheme."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from app import clock
from app.connectors.auth.method import SignedReply
from app.connectors.http import HttpClient
from app.connectors.messages import ConfigurationError, Request
from app.connectors.types.connection_type import ConnectionType
from app.connectors.webhook_signature import BadSigningSecret, signatures, signing_secrets
from app.crypto import Secret
from app.domain.mapping.context import rfc3339
from app.domain.runs.calls import ConnectionData
from app.domain.steps.base import StepType
from app.domain.steps.calls import USER_AGENT

# What a receiver tells a test by; the body says `"test": true` as well.
TEST_EVENT = "access_automation.test"


class Webhook(ConnectionType):
    name = "webhook"
    label = "Webhook"
    step_type = StepType.WEBHOOK
    address = "url"
    reached = "The test event was taken"
    nothing_to_probe = (
        "There is nothing to probe without sending: a webhook only receives. Send a test event instead."
    )

    def needs_credential(self, config: Mapping[str, Any]) -> bool:
        return True

    def signs_in_with(self, config: Mapping[str, Any]) -> str:
        return "Signature"

    def noun(self, config: Mapping[str, Any]) -> str:
        return "signing secret"

    def credential_hint(self, goes_to: str) -> str:
        return (
            f"Stored encrypted and never sent: it signs what goes to {goes_to}, and never shown again. "
            "Starts with whsec_."
        )

    def keep(self, config: Mapping[str, Any], value: str) -> str:
        try:
            return " ".join(signing_secrets(value))
        except BadSigningSecret as problem:
            raise ConfigurationError(str(problem)) from None

    def send(
        self, request: Request, connection: ConnectionData, secret: Secret | None, client: HttpClient
    ) -> SignedReply:
        signed = {**request.headers, **_signature(request, secret)}
        return SignedReply(client.send(replace(request, headers=signed)))

    def shown(self, config: Mapping[str, Any], credential: str) -> Mapping[str, str]:
        return {"webhook-timestamp": "‹time›", "webhook-signature": f"v1,{credential}"}

    def test_event(self, connection: ConnectionData, now: datetime) -> Request:
        event = {
            "type": TEST_EVENT,
            "test": True,
            "timestamp": rfc3339(now),
            "data": {"connection": connection.name},
        }
        headers = {
            "User-Agent": USER_AGENT,
            "Content-Type": "application/json",
            "webhook-id": f"test_{secrets.token_hex(16)}",
        }
        return Request("POST", str(connection.config["url"]), headers, json.dumps(event).encode("ascii"))

    def facts(self, config: Mapping[str, Any]) -> list[tuple[str, str]]:
        return [("Webhook URL", config["url"]), ("Signed by", "Standard Webhooks")]


def _signature(request: Request, secret: Secret | None) -> dict[str, str]:
    """The headers that sign a request, whose message id it has already (Standard Webhooks 1.0.0)."""
    if secret is None:
        raise ConfigurationError("The connection has no signing secret. Add one on the connection's page.")
    now = clock.now()
    try:
        signature = signatures(
            secret.reveal(), message_id=request.headers["webhook-id"], at=now, body=request.body or b""
        )
    except BadSigningSecret:
        raise ConfigurationError("The signing secret is not one of Standard Webhooks. Replace it.") from None
    return {"webhook-timestamp": str(math.floor(now.timestamp())), "webhook-signature": signature}


TYPE = Webhook()
