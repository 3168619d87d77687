"""OAuth 2.0 client credentials (RFC 6749 §4.4): tokens fetched, kept until shortly before they expire."""

from __future__ import annotations

import base64
import json
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from app.connectors.auth import ConfigurationError
from app.connectors.http import CallFailed, HttpClient, Reply, Request
from app.crypto import Secret
from app.domain.runs.calls import ConnectionData
from app.domain.states import FailureClass
from app.net.target import BadTarget, parse_target

OAUTH = "oauth2_client_credentials"
# How long a token counts that does not say when it ends, and the longest that any is kept, in seconds.
UNSAID_SECONDS = 60.0
LONGEST_SECONDS = 24 * 3600.0
# A token is not used in its last moments: at most a minute of them, at most a tenth of its life.
MARGIN_SECONDS = 60.0
MARGIN_PART = 0.1
MAX_TOKENS = 1024
MAX_TOKEN = 16_384

# The error codes that a token endpoint may answer (RFC 6749 §5.2): only these words are ever repeated.
_ABOUT_CLIENT = frozenset({"invalid_client", "unauthorized_client"})
_ABOUT_REQUEST = frozenset({"invalid_request", "invalid_grant", "unsupported_grant_type", "invalid_scope"})


class TokenFailed(CallFailed):
    """No access token could be had, so the call itself was not sent: it is never lost.

    `status` is the token endpoint's, where it answered; `credential_refused` says that it did not take the
    client id and secret.
    """

    def __init__(
        self, kind: FailureClass, detail: str, *, status: int | None = None, credential_refused: bool = False
    ) -> None:
        super().__init__(kind, False, detail)
        self.status = status
        self.credential_refused = credential_refused

    def again(self) -> TokenFailed:
        """The same for another caller: each notes its own time on it."""
        return TokenFailed(
            self.kind, self.detail, status=self.status, credential_refused=self.credential_refused
        )


@dataclass(frozen=True, slots=True)
class _Key:
    """Whose token it is. A credential that is replaced, or sealed anew, has another ciphertext."""

    connection_id: int
    sealed: str | None = field(repr=False)
    token_url: str
    client_id: str
    client_auth: str
    scope: str


@dataclass(frozen=True, slots=True)
class _Token:
    value: Secret
    good_until: float


class TokenCache:
    """Access tokens of one process, in memory alone; callers that want the same one at once share a fetch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, _Token] = OrderedDict()
        self._running: dict[_Key, Future[Secret]] = {}

    def token(
        self,
        connection: ConnectionData,
        secret: Secret,
        client: HttpClient,
        deadline: float,
        *,
        refused: Secret | None = None,
    ) -> Secret:
        """An access token for the connection, by `deadline` (time.monotonic()).

        `refused` is one that the API did not take: it is not given again.  Raises ConfigurationError when the
        connection lacks what a fetch needs, TokenFailed for everything else.
        """
        key = _key_of(connection)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept.value is not refused and time.monotonic() < kept.good_until:
                return kept.value
            running = self._running.get(key)
            mine = running is None
            if running is None:
                running = self._running[key] = Future()
        if mine:
            self._keep(key, running, lambda: _fetch(key, connection, secret, client, deadline))
        try:
            return running.result(timeout=max(0.0, deadline - time.monotonic()))
        except TokenFailed as failed:
            raise failed.again() from None
        except TimeoutError:
            raise _timeout(key) from None

    def _keep(self, key: _Key, answer: Future[Secret], fetch: Callable[[], _Token]) -> None:
        """Fetch, keep what came, and tell everybody who waits for it."""
        token: _Token | None = None
        problem: Exception = RuntimeError("the fetch was broken off")
        try:
            token = fetch()
        except (CallFailed, ConfigurationError) as raised:
            problem = raised
        finally:
            with self._lock:
                del self._running[key]
                if token is not None:
                    self._kept[key] = token
                    self._kept.move_to_end(key)
                    while len(self._kept) > MAX_TOKENS:
                        self._kept.popitem(last=False)
            if token is not None:
                answer.set_result(token.value)
            else:
                answer.set_exception(problem)


SHARED = TokenCache()


def check_client_secret(value: str) -> None:
    """Raise ConfigurationError for a value that can be no client secret (RFC 6749, appendix A.2)."""
    if not value or not value.isprintable():
        raise ConfigurationError("The client secret may not hold control characters.")


def _key_of(connection: ConnectionData) -> _Key:
    config = connection.config
    for name, words in (("token_url", "token URL"), ("client_id", "client id")):
        if not config.get(name):
            raise ConfigurationError(f"The connection has no {words}.")
    return _Key(
        connection.id,
        connection.sealed,
        str(config["token_url"]),
        str(config["client_id"]),
        str(config.get("client_auth") or "basic"),
        str(config.get("scope") or ""),
    )


def _fetch(
    key: _Key, connection: ConnectionData, secret: Secret, client: HttpClient, deadline: float
) -> _Token:
    left = deadline - time.monotonic()
    if left <= 0:
        raise _timeout(key)
    started = time.monotonic()
    try:
        reply = client.send(_request(key, connection, secret, left))
    except CallFailed as failed:
        raise TokenFailed(failed.kind, f"No access token: {failed.detail}") from None
    return _read(reply, key, started)


def _request(key: _Key, connection: ConnectionData, secret: Secret, seconds: float) -> Request:
    form = {"grant_type": "client_credentials"}
    if key.scope:
        form["scope"] = key.scope
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    if key.client_auth == "post":
        form |= {"client_id": key.client_id, "client_secret": secret.reveal()}
    else:
        # RFC 6749 §2.3.1: both are form-encoded before they are joined.
        pair = f"{quote_plus(key.client_id)}:{quote_plus(secret.reveal())}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode('ascii')).decode('ascii')}"
    return Request(
        "POST",
        key.token_url,
        headers,
        urlencode(form).encode("ascii"),
        timeout_seconds=seconds,
        ca_bundle=connection.config.get("ca_bundle") or None,
    )


def _read(reply: Reply, key: _Key, started: float) -> _Token:
    """The token of an answer (RFC 6749 §5.1); nothing of the answer but known words goes into a failure."""
    host = _host(key)
    answer = _json_object(reply)
    if reply.status >= 500:
        raise TokenFailed(
            FailureClass.HTTP_5XX,
            f"No access token: {host} failed (HTTP {reply.status}).",
            status=reply.status,
        )
    if reply.status != 200:
        raise _refusal(reply.status, answer.get("error"), host)
    value, kind = answer.get("access_token"), answer.get("token_type", "bearer")
    if not isinstance(value, str) or not _can_be_carried(value):
        raise _broken(f"{host} answered without an access token that can be used.")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _broken(f"{host} gave a token of another kind than Bearer.")
    life = _lifetime(answer.get("expires_in"))
    return _Token(Secret(value), started + life - min(MARGIN_SECONDS, life * MARGIN_PART))


def _refusal(status: int, word: object, host: str) -> TokenFailed:
    known = word if isinstance(word, str) and word in _ABOUT_CLIENT | _ABOUT_REQUEST else ""
    told = f"HTTP {status}, {known}" if known else f"HTTP {status}"
    if known in _ABOUT_CLIENT or (status in (401, 403) and not known):
        detail = f"{host} did not take the client id and this credential ({told})."
        return TokenFailed(FailureClass.CONFIGURATION, detail, status=status, credential_refused=True)
    if status == 429:
        return TokenFailed(
            FailureClass.HTTP_4XX, f"No access token: {host} asks for fewer requests.", status=status
        )
    if 300 <= status < 400:
        return _broken(f"The token URL at {host} points elsewhere ({told}), which is not followed.", status)
    if known == "invalid_scope":
        return _broken(f"{host} does not give this client the scope ({told}).", status)
    return _broken(f"The token URL at {host} gave no token ({told}).", status)


def _broken(detail: str, status: int | None = None) -> TokenFailed:
    return TokenFailed(FailureClass.CONFIGURATION, detail, status=status)


def _timeout(key: _Key) -> TokenFailed:
    return TokenFailed(FailureClass.TIMEOUT, f"No access token from {_host(key)} in time.")


def _host(key: _Key) -> str:
    try:
        return parse_target(key.token_url).authority
    except BadTarget:
        return (urlsplit(key.token_url).hostname or "the token URL")[:200]


def _json_object(reply: Reply) -> Mapping[str, Any]:
    try:
        found = json.loads(reply.body) if not reply.truncated else None
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


def _can_be_carried(value: str) -> bool:
    return 0 < len(value) <= MAX_TOKEN and value.isascii() and value.isprintable() and " " not in value


def _lifetime(given: object) -> float:
    """Seconds that a token lives. Some send the number as text; what is no number counts as not said."""
    try:
        seconds = (
            float(given) if isinstance(given, int | float | str) and not isinstance(given, bool) else -1.0
        )
    except (ValueError, OverflowError):
        seconds = -1.0
    if not math.isfinite(seconds) or seconds < 0:
        return UNSAID_SECONDS
    return min(seconds, LONGEST_SECONDS)
