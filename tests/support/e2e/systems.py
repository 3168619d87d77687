"""Real outside systems as processes of their own, on loopback."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.support.workers.processes import ROOT, until

MAILMAN = os.environ.get("TEST_MAILMAN_BIN", "")
CANAILLE = os.environ.get("TEST_CANAILLE_BIN", "")
# Mailman's runners, of which only the REST server is wanted.
RUNNERS = (
    *("archive", "bad", "bounces", "command", "digest", "in", "lmtp"),
    *("nntp", "out", "pipeline", "retry", "shunt", "task", "virgin"),
)


@dataclass
class System:
    """Where a system is, how one signs in there, and what it answers to a request of the test's own."""

    url: str
    credential: str
    authorization: str

    @property
    def endpoint(self) -> str:
        return self.url.removeprefix("http://").partition("/")[0]

    def ask(self, method: str, path: str, **form: str) -> tuple[int, Any]:
        """Status and JSON of a call that does not go through the console."""
        body = urlencode(form).encode() if form else None
        request = urllib.request.Request(self.url + path, body, method=method)
        request.add_header("Authorization", self.authorization)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as answer:
                raw = answer.read()
                return answer.status, json.loads(raw) if raw else None
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, None
        except OSError:
            return 0, None


@contextmanager
def scim_server(folder: Path) -> Iterator[System]:
    """The `scim2-server` package."""
    port, token = _free_port(), secrets.token_urlsafe(24)
    (folder / "token").write_text(token)
    (folder / "token").chmod(0o600)
    command = [sys.executable, "-m", "app.local.scim_server", "--port", str(port)]
    command += ["--token-file", str(folder / "token"), "--accounts", str(folder / "accounts.json")]
    system = System(f"http://127.0.0.1:{port}/v2", token, f"Bearer {token}")
    with _running(command, folder):
        until(lambda: system.ask("GET", "/ServiceProviderConfig")[0] == 200, "the SCIM server answers")
        yield system


@contextmanager
def mailman(folder: Path) -> Iterator[System]:
    """Mailman core, its REST server alone, from the programs in TEST_MAILMAN_BIN; skips where there are none."""
    if not MAILMAN:
        pytest.skip("no Mailman: set TEST_MAILMAN_BIN to the folder of its programs")
    port, password = _free_port(), secrets.token_urlsafe(12)
    lines = ["[mailman]", "layout: here", "[paths.here]", f"var_dir: {folder}/var"]
    lines += ["[webservice]", "hostname: 127.0.0.1", f"port: {port}", "admin_user: restadmin"]
    lines += [f"admin_pass: {password}", "[mta]", "incoming: mailman.mta.null.NullMTA"]
    lines += [line for name in RUNNERS for line in (f"[runner.{name}]", "start: no")]
    (folder / "mailman.cfg").write_text("\n".join(lines) + "\n")
    pair = base64.b64encode(f"restadmin:{password}".encode()).decode()
    system = System(f"http://127.0.0.1:{port}/3.1", password, f"Basic {pair}")
    with _running([f"{MAILMAN}/master", "-C", str(folder / "mailman.cfg")], folder):
        until(lambda: system.ask("GET", "/system/versions")[0] == 200, "Mailman answers")
        yield system


@dataclass
class OpenIdProvider:
    """Where a provider is, and what a console needs to know; `person_password` is everybody's there."""

    issuer: str
    client_id: str
    client_secret: str
    person_password: str

    def settings(self) -> dict[str, str]:
        return {
            "oidc_issuer": self.issuer,
            "oidc_client_id": self.client_id,
            "oidc_client_secret": self.client_secret,
        }


@contextmanager
def canaille(
    folder: Path, *, redirect_uris: list[str], people: list[dict[str, Any]], groups: dict[str, list[str]]
) -> Iterator[OpenIdProvider]:
    """Canaille, from the programs in TEST_CANAILLE_BIN; skips where there are none."""
    if not CANAILLE:
        pytest.skip("no OpenID provider: set TEST_CANAILLE_BIN to the folder of Canaille's programs")
    port = _free_port()
    found = OpenIdProvider(
        f"http://127.0.0.1:{port}", "console", secrets.token_urlsafe(24), secrets.token_urlsafe(12)
    )
    given = {
        "port": port,
        "client_id": found.client_id,
        "client_secret": found.client_secret,
        "redirect_uris": redirect_uris,
        "password": found.person_password,
        "people": people,
        "groups": groups,
    }
    script = Path(__file__).parent / "canaille_server.py"
    with _running([f"{CANAILLE}/python", str(script)], folder, told=json.dumps(given)):
        system = System(found.issuer, "", "")
        until(lambda: system.ask("GET", "/.well-known/openid-configuration")[0] == 200, "Canaille answers")
        yield found


def scim_accounts(system: System) -> dict[str, bool]:
    """Every account of the SCIM server by user name, and whether it is active."""
    found = system.ask("GET", "/Users")[1]
    return {one["userName"]: one.get("active", True) for one in found.get("Resources", [])}


def subscribers(system: System, list_id: str) -> list[str]:
    """Who is on the list, as Mailman says."""
    found = system.ask("GET", f"/lists/{quote(list_id)}/roster/member")[1]
    return sorted(one["email"] for one in found.get("entries", []))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(command: list[str], folder: Path, *, told: str = "") -> Iterator[None]:
    with (folder / "system.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    assert process.stdin is not None
    with process.stdin:
        process.stdin.write(told.encode())
    try:
        yield
    finally:
        # The group: Mailman's master starts programs of its own.
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
