"""A bearer token that does not change (RFC 6750)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.connectors.auth.method import AuthMethod, carried, with_headers
from app.connectors.messages import Request


class Bearer(AuthMethod):
    name = "bearer"
    label = "Bearer token"
    short = "Bearer token"
    noun = "token"

    def sign(self, request: Request, config: Mapping[str, Any], credential: str) -> Request:
        return with_headers(request, self.shown(config, carried(credential)))

    def shown(self, config: Mapping[str, Any], credential: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {credential}"}


METHOD = Bearer()
