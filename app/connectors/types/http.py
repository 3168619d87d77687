"""An API over HTTP: called at a base URL, signed in by one of the methods of `app.connectors.auth`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.connectors.auth.method import SignedReply
from app.connectors.auth.methods import method_of
from app.connectors.http import HttpClient
from app.connectors.messages import ConfigurationError, Request
from app.connectors.types.connection_type import ConnectionType
from app.crypto import Secret
from app.domain.runs.calls import ConnectionData
from app.domain.steps.base import StepType
from app.domain.steps.calls import opening_headers

DEFAULT_TIMEOUT_SECONDS = 30


class Http(ConnectionType):
    name = "http"
    label = "API / HTTP"
    step_type = StepType.HTTP
    address = "base_url"
    reached = "Reachable"

    def needs_credential(self, config: Mapping[str, Any]) -> bool:
        try:
            return method_of(config).needs_credential
        except ConfigurationError:
            return True  # of a way that is not known, nothing less can be said

    def signs_in_with(self, config: Mapping[str, Any]) -> str:
        return method_of(config).short

    def noun(self, config: Mapping[str, Any]) -> str:
        return method_of(config).noun

    def credential_hint(self, goes_to: str) -> str:
        return f"Stored encrypted, sent nowhere but to {goes_to}, and never shown again."

    def keep(self, config: Mapping[str, Any], value: str) -> str:
        return method_of(config).keep(config, value)

    def send(
        self, request: Request, connection: ConnectionData, secret: Secret | None, client: HttpClient
    ) -> SignedReply:
        return method_of(connection.config).send(request, connection, secret, client)

    def shown(self, config: Mapping[str, Any], credential: str) -> Mapping[str, str]:
        return method_of(config).shown(config, credential)

    def probe(self, config: Mapping[str, Any]) -> Request:
        """An authenticated GET of the health check path, else of the base URL."""
        base, path = str(config["base_url"]), str(config.get("health_path") or "")
        return Request("GET", base.rstrip("/") + path if path else base, opening_headers(config))

    def why_unusable(self, config: Mapping[str, Any], status: int | None) -> str:
        return method_of(config).why_unusable(status)

    def facts(self, config: Mapping[str, Any]) -> list[tuple[str, str]]:
        method, rate = method_of(config), config.get("requests_per_second")
        return [
            ("Base URL", config["base_url"]),
            ("Signs in with", method.short),
            *method.facts(config),
            ("Health check path", config.get("health_path") or "the base URL itself"),
            ("Timeout", f"{config.get('timeout_seconds', DEFAULT_TIMEOUT_SECONDS)} s"),
            ("Default headers", ", ".join(config.get("headers", {})) or "none"),
            ("Own certificates", "CA bundle set" if config.get("ca_bundle") else "no"),
            ("Rate", f"{rate} requests per second, all workers together" if rate else "no limit"),
        ]


TYPE = Http()
