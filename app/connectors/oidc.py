"""One OpenID provider: where to send a person, and whom its answer means.

Authlib speaks the protocol (discovery, authorization code with PKCE, the ID token's claims) and joserfc checks
signatures; every call goes through the product's own HTTP client, to the issuer's host and no other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from authlib.common.errors import AuthlibBaseError
from authlib.common.security import generate_token
from authlib.oauth2.client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from app.connectors.http import HttpClient
from app.connectors.messages import CallFailed, Reply, Request
from app.connectors.places import Places
from app.net.target import BadTarget, parse_target

CALL_SECONDS = 10.0
# Discovery and keys are read again after so long, so that what a provider changes is noticed.
KEPT_SECONDS = 3600.0
# That it could not be read, so long: whoever comes meanwhile does not wait for the same again.
FAILED_SECONDS = 10.0
# How far the two clocks may be apart.
LEEWAY_SECONDS = 120
# Signatures that only the provider can make; `none` and those by the shared secret are no proof.
_ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_LONGEST_SUBJECT = 255


class SignOnFailed(Exception):
    """The provider did not lead to a person. `message` is our own sentence, fit for the screen."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in under way: `url` is where the person goes; the rest is kept until they come back."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the provider says about itself, and its keys."""

    about: Mapping[str, Any]
    keys: KeySet
    read_at: float


class Provider:
    """The provider that the settings name. Safe to share between threads."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, http: HttpClient) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._http = http
        self._wire = _Wire(http, issuer)
        self._known: _Known | None = None
        self._failed: tuple[SignOnFailed, float] | None = None
        # The provider is asked about itself by one thread; and anybody can start what makes us ask.
        self._looking = Places(1, waiting=2)
        self._finishing = Places(2, waiting=3)

    @property
    def host(self) -> str:
        """The provider's host, as people know it."""
        return urlsplit(self.issuer).netloc

    def close(self) -> None:
        """Close the connections to it that are kept."""
        self._http.close()

    def begin(self, redirect_uri: str, *, scopes: tuple[str, ...] = ()) -> Begun:
        """Start a sign-in that comes back to `redirect_uri`; `scopes` are asked for where the provider has them.

        Raises SignOnFailed, and Busy when the provider keeps too many others waiting.
        """
        about = self._look().about
        offered = about.get("scopes_supported")
        more = [scope for scope in scopes if isinstance(offered, list) and scope in offered]
        client = self._client(about, redirect_uri, ["openid", "email", "profile", *more])
        verifier, nonce = generate_token(64), generate_token(32)
        url, state = client.create_authorization_url(
            about["authorization_endpoint"], code_verifier=verifier, nonce=nonce
        )
        return Begun(url, state, nonce, verifier)

    def finish(
        self, begun: Begun, code: str, redirect_uri: str, *, wanted: tuple[str, ...]
    ) -> dict[str, Any]:
        """The claims about the person who came back with `code`, of a verified ID token.

        Those in `wanted` that it lacks are asked for at the userinfo endpoint. Raises SignOnFailed, and Busy
        when the provider keeps too many others waiting; nothing was sent then.
        """
        with self._finishing.one():
            return self._finish(begun, code, redirect_uri, wanted)

    def _finish(self, begun: Begun, code: str, redirect_uri: str, wanted: tuple[str, ...]) -> dict[str, Any]:
        about = self._look().about
        client = self._client(about, redirect_uri, [])
        try:
            token = client.fetch_token(
                about["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=begun.verifier,
            )
            claims = self._verified(token, begun.nonce)
            if any(name not in claims for name in wanted):
                claims = {**self._userinfo(about, token, claims["sub"]), **claims}
        except CallFailed as failed:
            raise SignOnFailed(failed.detail) from None
        except (AuthlibBaseError, JoseError) as refused:
            # Their error codes are words of the specifications; descriptions are the provider's and stay out.
            raise SignOnFailed(f"The answer of {self.host} was refused ({_code(refused)}).") from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise SignOnFailed(f"The answer of {self.host} could not be read.") from None
        return claims

    def _client(self, about: Mapping[str, Any], redirect_uri: str, scopes: list[str]) -> OAuth2Client:
        methods = about.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        by_header = not isinstance(methods, list) or "client_secret_basic" in methods
        return OAuth2Client(
            self._wire,
            client_id=self._client_id,
            client_secret=self._client_secret,
            token_endpoint_auth_method="client_secret_basic" if by_header else "client_secret_post",
            scope=" ".join(scopes) or None,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
        )

    def _look(self, *, again: bool = False) -> _Known:
        """Discovery and keys, kept for an hour; asked for by one thread, while a few wait for what it finds."""
        since = time.monotonic() if again else 0.0
        known = self._kept(since)
        if known is None:
            with self._looking.one():
                known = self._kept(since) or self._asked()
        return known

    def _kept(self, since: float) -> _Known | None:
        """What is known, read at or after `since`; raises SignOnFailed while a failure is fresh."""
        moment, known = time.monotonic(), self._known
        if known is not None and known.read_at >= since and moment < known.read_at + KEPT_SECONDS:
            return known
        if self._failed is not None and moment < self._failed[1]:
            raise SignOnFailed(self._failed[0].message)
        return None

    def _asked(self) -> _Known:
        try:
            self._known = self._read()
        except SignOnFailed as failed:
            self._failed = (failed, time.monotonic() + FAILED_SECONDS)
            raise
        return self._known

    def _read(self) -> _Known:
        try:
            about = self._wire.get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if about.get("issuer", "").rstrip("/") != self.issuer.rstrip("/"):
                raise SignOnFailed(f"{self.host} calls itself by another name than OIDC_ISSUER.")
            for name in _ENDPOINTS:
                self._wire.check(about[name])
            published: Any = self._wire.get(about["jwks_uri"])
            keys = KeySet.import_key_set(published)
        except CallFailed as failed:
            raise SignOnFailed(failed.detail) from None
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            raise SignOnFailed(f"{self.host} does not describe itself as an OpenID provider does.") from None
        return _Known(about, keys, time.monotonic())

    def _verified(self, token: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """The claims of the ID token: signed by the provider, for us, for this sign-in, and not expired."""
        known = self._look()
        raw = token["id_token"]
        try:
            decoded = self._decoded(raw, known)
        except (JoseError, ValueError):
            # Perhaps it was signed with a key that is new.
            known = self._look(again=True)
            decoded = self._decoded(raw, known)
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {
                "iss": {"essential": True, "value": known.about["issuer"]},
                "aud": {"essential": True, "value": self._client_id},
            },
            {"nonce": nonce, "client_id": self._client_id, "access_token": token.get("access_token")},
        )
        claims.validate(leeway=LEEWAY_SECONDS)
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
            raise ValueError("sub")
        return dict(claims)

    def _decoded(self, raw: str, known: _Known) -> jwt.Token:
        said = known.about.get("id_token_signing_alg_values_supported")
        usable = _ALGORITHMS & set(said) if isinstance(said, list) else {"RS256"}
        registry = JWSRegistry(algorithms=sorted(usable), strict_check_header=False)
        return jwt.decode(raw, known.keys, registry=registry)

    def _userinfo(self, about: Mapping[str, Any], token: Mapping[str, Any], subject: str) -> dict[str, Any]:
        if "userinfo_endpoint" not in about or "access_token" not in token:
            return {}
        profile = self._wire.get(
            about["userinfo_endpoint"], {"Authorization": f"Bearer {token['access_token']}"}
        )
        # OpenID Connect Core §5.3.2: an answer about somebody else must not be used.
        return profile if profile.get("sub") == subject else {}


class _Answer:
    """What Authlib looks at in an answer."""

    def __init__(self, reply: Reply) -> None:
        self.status_code = reply.status
        self._body = reply.body

    def json(self) -> Any:
        return json.loads(self._body)

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise ValueError(f"HTTP {self.status_code}")


class _Wire:
    """The calls to the provider: to the issuer's scheme, host and port, within a deadline, nowhere else."""

    def __init__(self, http: HttpClient, issuer: str) -> None:
        self._http = http
        self._home = parse_target(issuer)

    def check(self, url: str) -> None:
        """Raises ValueError unless the address is on the issuer's host."""
        target, home = parse_target(url), self._home
        if (target.scheme, target.host, target.port) != (home.scheme, home.host, home.port):
            raise BadTarget("It is on another host than OIDC_ISSUER.")

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object at this address; raises CallFailed or ValueError."""
        reply = self._send("GET", url, {"Accept": "application/json", **(headers or {})}, None)
        found = json.loads(reply.body) if reply.status == 200 else None
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
        return found

    def post(self, url: str, data: Mapping[str, str], headers: Mapping[str, str], auth: Any) -> _Answer:
        """Send a form, signed by `auth`, as Authlib's client does."""
        target, sent, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        return _Answer(self._send("POST", target, sent, body.encode()))

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        self.check(url)
        reply = self._http.send(Request(method, url, headers, body, CALL_SECONDS))
        if reply.truncated:
            raise ValueError("the answer broke off")
        return reply


def _code(error: Exception) -> str:
    found = str(getattr(error, "error", "") or "")
    return found if found.isascii() and found.replace("_", "").isalnum() and len(found) <= 40 else "unknown"
