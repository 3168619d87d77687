"""The outside system of the demo: a real SCIM 2.0 server on loopback, whose accounts outlive a restart.

`python -m app.local.scim_server --port N --token-file FILE --accounts FILE`. The token comes from a file, since a
command line can be read by everybody on the machine. It is the `scim2-server` package; what is added here is
keeping the accounts in a file and not printing each request.
"""

from __future__ import annotations

import argparse
import json
import logging
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scim2_models import ScimProvider
from scim2_server.memory import InMemoryStorage
from scim2_server.service import ScimService
from scim2_server.testserver.application import BEARER_TOKEN_SCHEME, BearerTokenApplication
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)
from werkzeug.serving import WSGIRequestHandler, run_simple

from app.config import files

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Cursors that this server hands out are of no use after a restart.
CURSOR_SECRET_BYTES = 32


class _Quiet(WSGIRequestHandler):
    # Kept open between requests, as the servers of real systems do.
    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: the timeline of the console shows each call."""


def scim_application(token: str, accounts: Path) -> WSGIApplication:
    """A SCIM 2.0 application that accepts `token` and keeps its accounts in the file `accounts`."""
    config = load_default_service_provider_config()
    config.authentication_schemes = [*(config.authentication_schemes or []), BEARER_TOKEN_SCHEME]
    provider = ScimProvider.from_discovery(
        load_default_schemas().values(), load_default_resource_types().values(), config=config
    )
    storage = InMemoryStorage()
    storage.resources = _kept(provider, accounts)
    service = ScimService(provider, secret=secrets.token_urlsafe(CURSOR_SECRET_BYTES))
    scim = BearerTokenApplication(storage, provider, service=service, bearer_tokens=[token])

    def keeping(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer: Iterable[bytes] = scim(environ, start_response)
        if environ["REQUEST_METHOD"] != "GET":
            with storage.lock:
                texts = [one.model_dump(mode="json", by_alias=False) for one in storage.resources]
                files.write(accounts, json.dumps(texts))
        return answer

    return keeping


def _kept(provider: ScimProvider, accounts: Path) -> list[Any]:
    if not accounts.exists():
        return []
    models: dict[str | None, Any] = {kind.name: provider.model_for(kind) for kind in provider.resource_types}
    try:
        found = json.loads(accounts.read_text(encoding="utf-8"))
        return [models[one["meta"]["resource_type"]].model_validate(one) for one in found]
    except (ValueError, KeyError, TypeError):
        # Made by another version, or by hand: the demo goes on with an empty system.
        return []


def main() -> None:
    """Serve on 127.0.0.1 until ended."""
    parser = argparse.ArgumentParser(description="The demo's SCIM 2.0 server, on loopback.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token-file", type=Path, required=True)
    parser.add_argument("--accounts", type=Path, required=True)
    chosen = parser.parse_args()
    token = chosen.token_file.read_text(encoding="utf-8").strip()
    if not token:
        sys.exit("The token file is empty.")
    # Its greeting warns of serving strangers; this serves the demo on loopback.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    run_simple(
        "127.0.0.1",
        chosen.port,
        scim_application(token, chosen.accounts),
        threaded=True,
        request_handler=_Quiet,
    )


if __name__ == "__main__":
    main()
