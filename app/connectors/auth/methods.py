"""The table of the ways in which an HTTP connection signs in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.connectors.auth import api_key, basic, bearer, none, oauth2_client_credentials
from app.connectors.auth.method import AuthMethod, ConfigField
from app.connectors.messages import ConfigurationError

DEFAULT = none.METHOD
# In the order of the form.
METHODS: Mapping[str, AuthMethod] = {
    one.name: one
    for one in (none.METHOD, bearer.METHOD, basic.METHOD, api_key.METHOD, oauth2_client_credentials.METHOD)
}
# Each field once: methods that need the same share it.
FIELDS: Mapping[str, ConfigField] = {one.name: one for method in METHODS.values() for one in method.fields}


def method_of(config: Mapping[str, Any]) -> AuthMethod:
    """How a connection of this configuration signs in; raises ConfigurationError for a way that there is none of."""
    name = str(config.get("auth") or DEFAULT.name)
    if name not in METHODS:
        raise ConfigurationError(
            f"The connection's authentication {name[:40]!r} is not one that can be used."
        )
    return METHODS[name]
