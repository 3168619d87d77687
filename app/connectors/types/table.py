"""The table of connection types, and what is asked of a connection whatever its type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from app.connectors.auth.method import SignedReply
from app.connectors.auth.methods import FIELDS
from app.connectors.http import HttpClient
from app.connectors.messages import ConfigurationError, Request
from app.connectors.types import http, webhook
from app.connectors.types.connection_type import ConnectionType
from app.connectors.types.http import DEFAULT_TIMEOUT_SECONDS
from app.crypto import KeyLost, KeyRing, Secret, bound_to
from app.domain.runs.calls import ConnectionData

DEFAULT = http.TYPE
# In the order of the form.
TYPES: Mapping[str, ConnectionType] = {one.name: one for one in (http.TYPE, webhook.TYPE)}
# The fields that decide who receives a credential: its holder chose these, and nobody else may change them.
RECEIVERS = (
    *(one.address for one in TYPES.values()),
    *(one.name for one in FIELDS.values() if one.chooses_receiver),
)
KEY_LOST = "The stored credential cannot be read with the keys of this console. Replace it."


class Typed(Protocol):
    """A connection, or as much of its row as was read."""

    @property
    def type(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...


def needs_credential(connection: Typed) -> bool:
    """Whether its calls are signed, or signed in, at all."""
    return TYPES[connection.type].needs_credential(connection.config)


def has_probe(connection_type: str) -> bool:
    """Whether such a connection can be tested by a call that changes nothing."""
    return not TYPES[connection_type].nothing_to_probe


def send_signed(
    request: Request,
    connection: ConnectionData,
    client: HttpClient,
    keyring: KeyRing,
    *,
    longest: float = math.inf,
) -> SignedReply:
    """Send a request with the connection's credential on it: the one place where a secret is opened for a call.

    The connection's own timeout and certificates hold, and `longest` in seconds.  Raises ConfigurationError and
    CallFailed.
    """
    config = connection.config
    request = replace(
        request,
        timeout_seconds=min(float(config.get("timeout_seconds") or DEFAULT_TIMEOUT_SECONDS), longest),
        ca_bundle=config.get("ca_bundle") or None,
        owner=connection.id,
    )
    return TYPES[connection.type].send(request, connection, _opened(connection, keyring), client)


def _opened(connection: ConnectionData, keyring: KeyRing) -> Secret | None:
    if connection.sealed is None:
        return None
    try:
        return keyring.open(connection.sealed, bound_to(connection.id))
    except KeyLost:
        raise ConfigurationError(KEY_LOST) from None
