"""A call with the connection's credential on it: the one place where a secret meets a request over HTTP."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.connectors.auth import MISSING, ConfigurationError, auth_headers
from app.connectors.http import CallFailed, HttpClient, Reply, Request
from app.connectors.oauth import OAUTH, SHARED, TokenCache
from app.crypto import Secret
from app.domain.runs.calls import ConnectionData
from app.domain.states import FailureClass

# A captured text that holds fewer characters of a secret may well be something else.
_TELLING = 8


@dataclass(frozen=True, slots=True)
class SignedReply:
    """An answer, and what the request carried that must not be kept from it."""

    reply: Reply
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    def gives_away(self, value: object) -> bool:
        """True for a value of the answer that repeats a secret, as systems that echo their requests do."""
        if not isinstance(value, str):
            return False
        return any(value == one or (len(one) >= _TELLING and one in value) for one in self.secrets)


def send_signed_in(
    request: Request,
    connection: ConnectionData,
    secret: Secret | None,
    client: HttpClient,
    tokens: TokenCache = SHARED,
) -> SignedReply:
    """Send `request` with the headers that prove who is calling, within its `timeout_seconds` in all.

    With OAuth the token is fetched first; one that the API answers with 401 is fetched anew, and the request
    sent once more.  Raises ConfigurationError and CallFailed.
    """
    if connection.config.get("auth") != OAUTH:
        headers = auth_headers(connection.config, secret)
        return SignedReply(client.send(_with(request, headers)), _hidden(secret, headers))
    if secret is None:
        raise ConfigurationError(MISSING)
    started = time.monotonic()
    deadline = started + request.timeout_seconds
    try:
        token = tokens.token(connection, secret, client, deadline)
        reply = client.send(_bearing(request, token, deadline))
        if reply.status == 401:
            # The one repeat that is safe: the answer says that nothing was done.
            token = tokens.token(connection, secret, client, deadline, refused=token)
            reply = client.send(_bearing(request, token, deadline))
    except CallFailed as failed:
        failed.duration_ms = _milliseconds_since(started)
        raise
    hidden = frozenset({secret.reveal(), token.reveal()})
    return SignedReply(replace(reply, duration_ms=_milliseconds_since(started)), hidden)


def _bearing(request: Request, token: Secret, deadline: float) -> Request:
    left = deadline - time.monotonic()
    if left <= 0:
        raise CallFailed(FailureClass.TIMEOUT, False, "The time was used up by fetching an access token.")
    return replace(_with(request, {"Authorization": f"Bearer {token.reveal()}"}), timeout_seconds=left)


def _with(request: Request, headers: Mapping[str, str]) -> Request:
    return replace(request, headers={**request.headers, **headers})


def _hidden(secret: Secret | None, headers: Mapping[str, str]) -> frozenset[str]:
    if secret is None or not headers:
        return frozenset()
    return frozenset({secret.reveal(), *(value.rpartition(" ")[2] for value in headers.values())} - {""})


def _milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
