"""The one HTTP client of the product: one request, one deadline, one answer or one classified failure.

No redirects, proxies, cookies, netrc or retries, and no variable of the environment but those that say where
the system keeps its certificates.  The target's name is resolved once, every address is held against the
egress policy, and the connection goes to a checked address, while Host, SNI and the certificate's name stay
the target's own.  Only where a kept connection was closed unanswered, what may go twice goes out anew, once.
"""

from __future__ import annotations

import http.client
import logging
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from app.connectors.answer import Answer, BrokenHead
from app.connectors.dial import Dialler, GetAddrInfo, LookupFailed
from app.connectors.egress import EgressBlocked, EgressPolicy
from app.connectors.messages import CallFailed, NoLongerWanted, Reply, Request, sendable_headers
from app.connectors.pool import IDLE_SECONDS, IdlePool
from app.connectors.sockets import DeadlineSocket, DeadlineTLSSocket
from app.connectors.trust import BadCABundle, tls_context
from app.domain.states import FailureClass
from app.net.target import BadTarget, Target, parse_target

MAX_BODY = 64 * 1024
# A request that may not be sent twice goes out on a connection that was in use just now, or on a new one: servers
# close theirs from a second or two of idleness on, and one that crosses with it has an outcome nobody knows.
YOUNG_SECONDS = 0.5

# urllib3 warns about odd answers with the full URL, which never belongs into a log.
logging.getLogger("urllib3.connection").addFilter(lambda _: False)


class _Wire:
    """What both kinds of connection add to urllib3's: a checked socket, and one write for the request."""

    response_class = Answer
    sock: DeadlineSocket | DeadlineTLSSocket | None
    raw: DeadlineSocket
    parts: list[bytes]
    used: bool = False

    def _new_conn(self) -> DeadlineSocket:
        return self.raw

    def send(self, data: bytes) -> None:
        """Collect what urllib3 writes, so that `flush` knows of every byte and a small call is one packet."""
        self.parts.append(data)

    def flush(self) -> None:
        assert self.sock is not None
        self.sock.sendall(b"".join(self.parts))


class _PlainConnection(_Wire, HTTPConnection):  # type: ignore[misc]
    pass


class _TLSConnection(_Wire, HTTPSConnection):  # type: ignore[misc]
    pass


_Connection = _PlainConnection | _TLSConnection
_Key = tuple[str, str, int, str | None, int | str | None]


@dataclass(frozen=True, slots=True)
class _Call:
    """A request on its way, with what was found out about it once."""

    request: Request
    target: Target
    headers: Mapping[str, bytes] = field(repr=False)
    key: _Key = field(repr=False)
    started: float
    deadline: float


class _ClosedUnanswered(Exception):
    """A connection that was kept was closed before a byte of an answer came: perhaps long before the request."""

    def __init__(self, failure: CallFailed) -> None:
        super().__init__()
        self.failure = failure


class HttpClient:
    """Sends requests; safe to share between threads, and meant to be one for each process, made after a fork.

    `resolver` has the shape of socket.getaddrinfo.  `max_connections` bounds the idle connections that are
    kept, over all targets; it never makes a call wait.  `clock` tells how long they have been idle.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        resolver: GetAddrInfo = socket.getaddrinfo,
        max_connections: int = 256,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._dialler = Dialler(policy, resolver)
        self._idle: IdlePool[_Key, _Connection] = IdlePool(max_connections, clock)

    def close(self) -> None:
        """Close the idle connections; calls under way end by themselves."""
        self._idle.close()

    def send(self, request: Request) -> Reply:
        """Send one request and read its answer, all within `timeout_seconds`; raises CallFailed."""
        started = time.monotonic()
        try:
            return self._send(request, started)
        except CallFailed as failure:
            failure.duration_ms = milliseconds_since(started)
            raise

    def _send(self, request: Request, started: float) -> Reply:
        deadline = started + request.timeout_seconds
        try:
            target = parse_target(request.url)
        except BadTarget as problem:
            raise CallFailed(FailureClass.EGRESS_BLOCKED, False, str(problem)) from None
        headers = sendable_headers(request)
        # Where the policy was satisfied once, a kept connection leads to the address that was checked then.
        key = (target.scheme, target.host, target.port, request.ca_bundle, request.owner)
        call = _Call(request, target, headers, key, started, deadline)
        lost: CallFailed | None = None
        if (connection := self._take(key, request)) is not None:
            try:
                if self._transmit(connection, call):
                    return self._receive(connection, call)
            except _ClosedUnanswered as closed:
                if not request.is_repeatable:
                    raise closed.failure from None
                lost = closed.failure
        try:
            connection = self._connect(target, request, deadline)
            if not self._transmit(connection, call):
                raise _no_answer(target, request, False, None)
            return self._receive(connection, call)
        except _ClosedUnanswered as closed:
            raise closed.failure from None
        except NoLongerWanted:
            if lost is not None:
                raise lost from None
            raise
        except CallFailed as failure:
            # What went out on the kept connection may have arrived, whatever became of the second time.
            failure.lost = failure.lost or lost is not None
            raise

    def _take(self, key: _Key, request: Request) -> _Connection | None:
        youngest = IDLE_SECONDS if request.is_repeatable else YOUNG_SECONDS
        while (connection := self._idle.take(key, youngest)) is not None:
            if self._is_quiet(connection, key):
                return connection
            connection.close()
        return None

    def _is_quiet(self, connection: _Connection, key: _Key) -> bool:
        """Whether the other side waits for a request: neither closed, nor saying what nobody asked for.

        A target that did so once may do so again, a moment later than can be seen: nothing is kept for it any more.
        """
        sock = connection.sock
        assert sock is not None
        said = b"more" if sock.surplus else sock.waiting()
        if said:
            self._idle.shun(key)
        return said is None

    def _connect(self, target: Target, request: Request, deadline: float) -> _Connection:
        """A new connection to a checked address, handshake done.  Nothing was sent when this raises."""
        connection: _Connection | None = None
        try:
            raw = self._dialler.connect(target, deadline)
            try:
                if target.scheme == "https":
                    context = tls_context(request.ca_bundle)
                    connection = _TLSConnection(target.host, target.port, timeout=60.0, ssl_context=context)
                else:
                    connection = _PlainConnection(target.host, target.port, timeout=60.0)
                raw.begin_call(deadline)
                raw.arm()
                connection.raw = raw
                connection.connect()
            except BaseException:
                raw.close()
                if connection is not None:
                    connection.close()
                raise
            return connection
        except EgressBlocked as problem:
            raise CallFailed(FailureClass.EGRESS_BLOCKED, False, str(problem)) from None
        except BadCABundle as problem:
            raise CallFailed(FailureClass.TLS, False, str(problem)) from None
        except LookupFailed:
            detail = f"The name {target.host} could not be resolved."
            raise CallFailed(FailureClass.NETWORK, False, detail) from None
        except TimeoutError:
            detail = f"No connection to {target.authority} within {request.timeout_seconds:g} s."
            raise CallFailed(FailureClass.TIMEOUT, False, detail) from None
        except ssl.SSLCertVerificationError as problem:
            reason = getattr(problem, "verify_message", "") or "it could not be verified"
            detail = f"The certificate of {target.authority} is not trusted: {_plain(reason)}."
            raise CallFailed(FailureClass.TLS, False, detail) from None
        except ssl.SSLError:
            detail = f"The TLS handshake with {target.authority} broke off."
            raise CallFailed(FailureClass.NETWORK, False, detail) from None
        except (OSError, HTTPError, http.client.HTTPException) as problem:
            refused = isinstance(problem, ConnectionRefusedError)
            detail = f"{target.authority} {'refused the connection' if refused else 'could not be reached'}."
            raise CallFailed(FailureClass.NETWORK, False, detail) from None

    def _transmit(self, connection: _Connection, call: _Call) -> bool:
        """Write the request.  False when provably nothing was sent: another connection may be tried."""
        request, sock = call.request, connection.sock
        assert sock is not None
        connection.parts = []
        if request.may_go is not None and not request.may_go():
            connection.close()
            raise NoLongerWanted
        sock.begin_call(call.deadline)
        try:
            connection.request(
                request.method,
                call.target.request_target,
                body=request.body,
                headers=call.headers,  # type: ignore[arg-type]
                preload_content=False,
            )
            if connection.used and not self._is_quiet(connection, call.key):
                connection.close()
                return False
            connection.flush()
        except TimeoutError:
            connection.close()
            raise _no_answer(call.target, request, sock.sent > 0, TimeoutError()) from None
        except (OSError, http.client.HTTPException):
            if not sock.sent:
                connection.close()
                return False
            # A server may answer early and close, as with 413; what it said is still there to be read.
        finally:
            connection.parts = []
        return True

    def _receive(self, connection: _Connection, call: _Call) -> Reply:
        sock = connection.sock
        assert sock is not None
        try:
            response = connection.getresponse()
        except BrokenHead as head:
            connection.close()
            return Reply(head.status, {}, b"", True, milliseconds_since(call.started))
        except (OSError, HTTPError, http.client.HTTPException, ValueError) as problem:
            connection.close()
            failure = _no_answer(call.target, call.request, True, problem)
            closed = isinstance(problem, OSError) and not isinstance(problem, TimeoutError)
            if connection.used and closed and not sock.received:
                raise _ClosedUnanswered(failure) from None
            raise failure from None
        body, complete = _read_body(response)
        if (
            complete
            and connection.sock is not None
            and response.closed
            and self._is_quiet(connection, call.key)
        ):
            connection.used = True
            self._idle.give(call.key, connection)
        else:
            response.close()
            connection.close()
        truncated = not complete
        return Reply(response.status, response.headers, body, truncated, milliseconds_since(call.started))


def _read_body(response: HTTPResponse) -> tuple[bytes, bool]:
    """At most MAX_BODY decoded bytes, and whether that was the whole body."""
    parts: list[bytes] = []
    room = MAX_BODY + 1
    try:
        while room > 0:
            part = response.read1(room)
            if not part:
                return b"".join(parts), True
            parts.append(part)
            room -= len(part)
    except (OSError, HTTPError, http.client.HTTPException, ValueError):
        # The status line was read, so this is an answer; its body goes as far as it came.
        return b"".join(parts), False
    return b"".join(parts)[:MAX_BODY], False


def _no_answer(target: Target, request: Request, lost: bool, problem: Exception | None) -> CallFailed:
    if isinstance(problem, TimeoutError):
        detail = f"No answer from {target.authority} within {request.timeout_seconds:g} s."
        return CallFailed(FailureClass.TIMEOUT, lost, detail)
    closed = problem is None or isinstance(problem, OSError)
    how = "closed the connection without an answer" if closed else "sent something that is not HTTP"
    return CallFailed(FailureClass.NETWORK, lost, f"{target.authority} {how}.")


def _plain(reason: object) -> str:
    return re.sub(r"[^\x20-\x7e]", "", str(reason)).rstrip(".")[:200]


def milliseconds_since(started: float) -> int:
    """How long it is since `started`, by the clock that only goes forward."""
    return round((time.monotonic() - started) * 1000)
