"""No sign-in: the system lets everybody in who reaches it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.connectors.auth.method import AuthMethod, SignedReply
from app.connectors.http import HttpClient
from app.connectors.messages import Request
from app.crypto import Secret
from app.domain.runs.calls import ConnectionData


class NoSignIn(AuthMethod):
    name = "none"
    label = "None"
    short = "None"
    needs_credential = False

    def keep(self, config: Mapping[str, Any], value: str) -> str:
        """It is kept for when the connection signs in again."""
        return value.strip()

    def send(
        self,
        request: Request,
        connection: ConnectionData,
        secret: Secret | None,
        client: HttpClient,
    ) -> SignedReply:
        return SignedReply(client.send(request))

    def shown(self, config: Mapping[str, Any], credential: str) -> Mapping[str, str]:
        return {}


METHOD = NoSignIn()
