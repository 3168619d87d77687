"""Asking an OAuth 2.0 token endpoint, and reading its answer (RFC 6749 §5)."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from app import clock
from app.connectors.auth.tokens import Token, TokenFailed, too_late
from app.connectors.http import HttpClient
from app.connectors.messages import CallFailed, Reply, Request
from app.connectors.retry_after import seconds_to_wait
from app.domain.states import FailureClass
from app.net.target import BadTarget, parse_target

# How long a token counts that does not say when it ends, and the longest that any is kept, in seconds.
UNSAID_SECONDS = 60.0
LONGEST_SECONDS = 24 * 3600.0
MAX_TOKEN = 16_384

# The error codes that a token endpoint may answer (RFC 6749 §5.2): only these words are ever repeated.
_ABOUT_CLIENT = frozenset({"invalid_client", "unauthorized_client"})
_ABOUT_REQUEST = frozenset({"invalid_request", "invalid_grant", "unsupported_grant_type", "invalid_scope"})
# Kinds whose bearer must prove something with each call. All else (BearerToken, none at all) is borne, as others do.
_PROVEN = frozenset({"mac", "dpop", "pop"})


def ask_for_token(
    url: str,
    form: Mapping[str, str],
    headers: Mapping[str, str],
    client: HttpClient,
    *,
    deadline: float,
    ca_bundle: str | None,
    owner: int | None = None,
) -> Token:
    """The token that the endpoint gives for `form`, by `deadline` (time.monotonic()); raises TokenFailed.

    A second token does no harm where the first was lost; `owner` is the connection that it is for.
    """
    started = time.monotonic()
    if deadline <= started:
        raise too_late(host_of(url))
    request = Request(
        "POST",
        url,
        {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded", **headers},
        urlencode(form).encode("ascii"),
        timeout_seconds=deadline - started,
        ca_bundle=ca_bundle,
        repeatable=True,
        owner=owner,
    )
    try:
        reply = client.send(request)
    except CallFailed as failed:
        raise TokenFailed(failed.kind, f"No access token: {failed.detail}") from None
    return _read(reply, host_of(url), started)


def host_of(url: str) -> str:
    """The endpoint's host and port, as they may stand in a message."""
    try:
        return parse_target(url).authority
    except BadTarget:
        return (urlsplit(url).hostname or "the token URL")[:200]


def _read(reply: Reply, host: str, started: float) -> Token:
    """The token of an answer (RFC 6749 §5.1); nothing of the answer but known words goes into a failure."""
    answer = _json_object(reply)
    if reply.status == 429 or reply.status >= 500:
        failure, words = FailureClass.HTTP_5XX, "failed"
        if reply.status == 429:
            failure, words = FailureClass.WAIT, "asks for fewer requests"
        raise TokenFailed(
            failure,
            f"No access token: {host} {words} (HTTP {reply.status}).",
            status=reply.status,
            retry_after=seconds_to_wait(reply.status, reply.headers, clock.now()),
        )
    if not 200 <= reply.status < 300:
        raise _refusal(reply.status, answer.get("error"), host)
    value, kind = answer.get("access_token"), answer.get("token_type")
    if not isinstance(value, str) or not _can_be_carried(value):
        raise _broken(f"{host} answered without an access token that can be used.")
    if isinstance(kind, str) and kind.strip().lower() in _PROVEN:
        raise _broken(f"{host} gave a token of another kind than Bearer.")
    return Token.living(value, started, _lifetime(answer.get("expires_in")))


def _refusal(status: int, word: object, host: str) -> TokenFailed:
    known = word if isinstance(word, str) and word in _ABOUT_CLIENT | _ABOUT_REQUEST else ""
    status_words = f"HTTP {status}, {known}" if known else f"HTTP {status}"
    if known in _ABOUT_CLIENT or (status in (401, 403) and not known):
        detail = f"{host} did not take the client id and this credential ({status_words})."
        return TokenFailed(FailureClass.CONFIGURATION, detail, status=status, credential_refused=True)
    if 300 <= status < 400:
        return _broken(
            f"The token URL at {host} points elsewhere ({status_words}), which is not followed.", status
        )
    if known == "invalid_scope":
        return _broken(f"{host} does not give this client the scope ({status_words}).", status)
    return _broken(f"The token URL at {host} gave no token ({status_words}).", status)


def _broken(detail: str, status: int | None = None) -> TokenFailed:
    return TokenFailed(FailureClass.CONFIGURATION, detail, status=status)


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
