"""Access tokens: asked for once, kept until shortly before they end, asked for anew when one is refused."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from app.connectors.auth.method import AuthMethod, SignedReply, given, with_headers
from app.connectors.http import HttpClient, milliseconds_since
from app.connectors.messages import CallFailed, ConfigurationError, Request
from app.crypto import Secret
from app.domain.runs.calls import ConnectionData
from app.domain.states import FailureClass

# A token is not used in its last moments: at most a minute of them, at most a tenth of its life.
MARGIN_SECONDS = 60.0
MARGIN_PART = 0.1
MAX_TOKENS = 1024


class TokenFailed(CallFailed):
    """No access token could be had, so the call itself was not sent: it is never lost.

    `status` is the token endpoint's, where it answered; `credential_refused` says that it did not take the
    client id and secret; `retry_after` is for how many seconds it asks to be left alone.
    """

    def __init__(
        self,
        kind: FailureClass,
        detail: str,
        *,
        status: int | None = None,
        credential_refused: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(kind, False, detail)
        self.status = status
        self.credential_refused = credential_refused
        self.retry_after = retry_after

    def again(self) -> TokenFailed:
        """The same for another caller: each notes its own time on it."""
        return TokenFailed(
            self.kind,
            self.detail,
            status=self.status,
            credential_refused=self.credential_refused,
            retry_after=self.retry_after,
        )


@dataclass(frozen=True, slots=True)
class Token:
    """A token and the moment of time.monotonic() until which it is used."""

    value: Secret
    good_until: float

    @classmethod
    def living(cls, value: str, asked_at: float, seconds: float) -> Token:
        """One that was asked for at `asked_at` and lives so long."""
        return cls(Secret(value), asked_at + seconds - min(MARGIN_SECONDS, seconds * MARGIN_PART))


class TokenCache:
    """Access tokens of one process, in memory alone; callers that want the same one at once share a fetch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Token] = OrderedDict()
        self._running: dict[Hashable, Future[Secret]] = {}

    def token(
        self, key: Hashable, fetch: Callable[[], Token], deadline: float, *, refused: Secret | None = None
    ) -> Secret:
        """The token of `key`, fetched where none is kept, by `deadline` (time.monotonic()).

        `refused` is one that the API did not take: it is not given again.  Raises TimeoutError, and as `fetch` does.
        """
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept.value is not refused and time.monotonic() < kept.good_until:
                return kept.value
            running = self._running.get(key)
            mine = running is None
            if running is None:
                running = self._running[key] = Future()
        if mine:
            self._keep(key, running, fetch)
        try:
            return running.result(timeout=max(0.0, deadline - time.monotonic()))
        except TokenFailed as failed:
            raise failed.again() from None

    def _keep(self, key: Hashable, answer: Future[Secret], fetch: Callable[[], Token]) -> None:
        """Fetch, keep what came, and tell everybody who waits for it."""
        token: Token | None = None
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


class TokenMethod(AuthMethod):
    """A method whose calls bear a token that is asked for first. A subclass says whose it is, and how to ask."""

    def __init__(self) -> None:
        self.tokens = TokenCache()

    def key(self, connection: ConnectionData) -> Hashable:
        """Whose token it is: another key for whatever would make another one. Raises ConfigurationError."""
        raise NotImplementedError

    def fetch(self, connection: ConnectionData, secret: Secret, client: HttpClient, deadline: float) -> Token:
        """A new token; raises TokenFailed and ConfigurationError."""
        raise NotImplementedError

    def giver(self, connection: ConnectionData) -> str:
        """Who gives the token out, by host."""
        raise NotImplementedError

    def send(
        self, request: Request, connection: ConnectionData, secret: Secret | None, client: HttpClient
    ) -> SignedReply:
        """Send the request with a token; one that is answered with 401 is fetched anew, and it is sent once more."""
        credential = given(secret)
        started = time.monotonic()
        deadline = started + request.timeout_seconds
        try:
            token = self._token(connection, credential, client, deadline)
            reply = client.send(self._bearing(request, token, deadline))
            if reply.status == 401:
                # The one repeat that is safe: the answer says that nothing was done.
                token = self._token(connection, credential, client, deadline, refused=token)
                reply = client.send(self._bearing(request, token, deadline))
        except CallFailed as failed:
            failed.duration_ms = milliseconds_since(started)
            raise
        hidden = frozenset({credential.reveal(), token.reveal()})
        return SignedReply(replace(reply, duration_ms=milliseconds_since(started)), hidden)

    def _token(
        self,
        connection: ConnectionData,
        secret: Secret,
        client: HttpClient,
        deadline: float,
        refused: Secret | None = None,
    ) -> Secret:
        key = self.key(connection)
        try:
            return self.tokens.token(
                key, lambda: self.fetch(connection, secret, client, deadline), deadline, refused=refused
            )
        except TimeoutError:
            raise too_late(self.giver(connection)) from None

    def _bearing(self, request: Request, token: Secret, deadline: float) -> Request:
        left = deadline - time.monotonic()
        if left <= 0:
            raise CallFailed(FailureClass.TIMEOUT, False, "The time was used up by fetching an access token.")
        signed = with_headers(request, self.shown({}, token.reveal()))
        return replace(signed, timeout_seconds=left)

    def shown(self, config: Mapping[str, Any], credential: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {credential}"}


def too_late(giver: str) -> TokenFailed:
    """There was no time, or no time left, for a token."""
    return TokenFailed(FailureClass.TIMEOUT, f"No access token from {giver} in time.")
