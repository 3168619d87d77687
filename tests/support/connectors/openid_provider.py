"""An OpenID provider on loopback that lies as told: what a real one does not do, our side must still refuse."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.support.connectors.servers import Peer, ScriptServer, answer

CLIENT_ID, CLIENT_SECRET = "console", "cl13nt-s3cret"
KEY = RSAKey.generate_key(2048, auto_kid=True)
STRANGERS_KEY = RSAKey.generate_key(2048, auto_kid=True)
CODE = "the-code"


@dataclass
class OpenId:
    """`claims`, `about`, `token` and `told` change what it says; `sign` makes the ID token of the claims.

    `raw` are answers to send as they are, by path; an empty one hangs up.
    """

    url: str = ""
    challenge: str = ""
    nonce: str = ""
    keys: list[RSAKey] = field(default_factory=lambda: [KEY])
    claims: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    token: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=lambda: {"sub": "ana-1", "email": "ana@example.org"})
    sign: Callable[[dict[str, Any]], str] | None = None
    raw: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)

    def visit(self, url: str) -> dict[str, str]:
        """What the person's browser brings to the authorization endpoint."""
        brought = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.challenge, self.nonce = brought["code_challenge"], brought["nonce"]
        return brought

    def said(self) -> dict[str, Any]:
        """The claims of the ID token, as `claims` changes them; None leaves one out."""
        at = int(time.time())
        usual = {"iss": self.url, "aud": CLIENT_ID, "sub": "ana-1", "iat": at, "exp": at + 60}
        return {k: v for k, v in {**usual, "nonce": self.nonce, **self.claims}.items() if v is not None}

    def _serve(self, peer: Peer) -> None:
        while raw := peer.read_request():
            head, _, body = raw.decode().partition("\r\n\r\n")
            path = head.split(" ", 2)[1]
            lines = (line.partition(": ") for line in head.split("\r\n")[1:])
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self.asked.append((path, {name.lower(): value for name, _, value in lines}, form))
            if path in self.raw:
                if not self.raw[path]:
                    return
                peer.send(self.raw[path])
                continue
            status, said = self._answer(path, form)
            peer.send(answer(status, json.dumps(said).encode(), ("Content-Type: application/json",)))

    def _answer(self, path: str, form: dict[str, str]) -> tuple[int, Any]:
        if path == "/.well-known/openid-configuration":
            usual = {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "userinfo_endpoint": f"{self.url}/me",
                "id_token_signing_alg_values_supported": ["none", "HS256", "RS256"],
                "scopes_supported": ["openid", "email", "profile", "groups"],
            }
            return 200, {k: v for k, v in {**usual, **self.about}.items() if v is not None}
        if path == "/keys":
            return 200, {"keys": [key.as_dict(private=False) for key in self.keys]}
        if path == "/me":
            return 200, self.told
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if _encoded(digest) != self.challenge or form["code"] != CODE:
            return 400, {"error": "invalid_grant", "error_description": "s3cret <b>words</b> of theirs"}
        signed = (self.sign or signed_by(KEY))(self.said())
        usual = {"access_token": "at-1", "token_type": "Bearer", "id_token": signed}
        return 200, {k: v for k, v in {**usual, **self.token}.items() if v is not None}


def signed_by(key: RSAKey) -> Callable[[dict[str, Any]], str]:
    return lambda claims: jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)


def unsigned(claims: dict[str, Any]) -> str:
    """As `alg: none` has it: anybody can make one."""
    return f"{_part({'alg': 'none'})}.{_part(claims)}."


def signed_by_public_key(claims: dict[str, Any]) -> str:
    """An HMAC under the provider's public key, which everybody knows."""
    signed = f"{_part({'alg': 'HS256', 'kid': KEY.kid})}.{_part(claims)}"
    return f"{signed}.{_encoded(hmac.digest(KEY.as_pem(private=False), signed.encode(), 'sha256'))}"


def _part(value: dict[str, Any]) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@contextmanager
def openid() -> Iterator[OpenId]:
    """The provider until the block ends."""
    found = OpenId()
    with ScriptServer(found._serve) as server:
        found.url = server.url
        yield found
