"""What a type of connection says of itself, and what it does with a request that is ready."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.connectors.auth.method import SignedReply
from app.connectors.http import HttpClient
from app.connectors.messages import Request
from app.crypto import Secret
from app.domain.runs.calls import ConnectionData
from app.domain.steps.base import StepType


class ConnectionType:
    """A type of connection.

    `name` is stored and stays for ever; `step_type` is the type of the steps that call over it.  `address` names the
    field of the configuration that says where it leads.  `reached` begins the sentence when a test went well, and
    `nothing_to_probe` is the answer where a test would do something there.
    """

    name: str
    label: str
    step_type: StepType
    address: str
    reached: str
    nothing_to_probe: str = ""

    def needs_credential(self, config: Mapping[str, Any]) -> bool:
        """Whether its calls are signed, or signed in, at all."""
        raise NotImplementedError

    def signs_in_with(self, config: Mapping[str, Any]) -> str:
        """How, in a word or two."""
        raise NotImplementedError

    def noun(self, config: Mapping[str, Any]) -> str:
        """What its credential is called."""
        raise NotImplementedError

    def credential_hint(self, goes_to: str) -> str:
        """What becomes of a credential that is entered; `goes_to` are the addresses that it is for."""
        raise NotImplementedError

    def keep(self, config: Mapping[str, Any], value: str) -> str:
        """A credential as it is kept; raises ConfigurationError for one that could not be used."""
        raise NotImplementedError

    def send(
        self, request: Request, connection: ConnectionData, secret: Secret | None, client: HttpClient
    ) -> SignedReply:
        """Send a request with the connection's credential on it; raises ConfigurationError and CallFailed."""
        raise NotImplementedError

    def shown(self, config: Mapping[str, Any], credential: str) -> Mapping[str, str]:
        """The headers that the credential makes, for a dry run: `credential` stands for what is not looked at."""
        raise NotImplementedError

    def probe(self, config: Mapping[str, Any]) -> Request | None:
        """The one call that tests it and changes nothing there; None where there is none."""
        return None

    def test_event(self, connection: ConnectionData, now: datetime) -> Request | None:
        """An event that says that it is a test, where the other side does nothing but receive."""
        return None

    def why_unusable(self, config: Mapping[str, Any], status: int | None) -> str:
        """What a test that failed over the configuration came to, of which only the status was kept; may be empty."""
        return ""

    def facts(self, config: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Labels and values of its configuration, for the connection's page."""
        raise NotImplementedError
