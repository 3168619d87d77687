"""`make demo`: the main job once, end to end, by script, and proof that the outside world agrees.

1. Start a console of its own in a temporary folder, with workers and a real SCIM 2.0 server.
2. Through the API: make application, connection and both workflows, and three people.
3. Grant access to all three, revoke one, and wait until every run has ended.
4. Print each timeline, and the accounts as the SCIM server itself lists them.
5. Exit 0 only if these agree with the grants.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import requests

from app.catalogue import scim
from app.local.demo import content
from app.local.supervisor.claims import StartError
from app.local.supervisor.stack import ProcessPlan, Stack

PERMISSIONS = (
    "application:write",
    "grant:read",
    "grant:write",
    "user:manage",
    "workflow:manage",
    "workflow:read",
    "workflow:secrets",
)
PATIENCE_SECONDS = 60
MOVING = ("queued", "running")


class Disagreement(Exception):
    """The demo did not come out as it must."""


class Api:
    """The console's JSON API."""

    def __init__(self, url: str, token: str) -> None:
        self._base = f"{url}/api/v1"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, **json: Any) -> Any:
        """The answer's JSON; raises Disagreement when the API refuses."""
        answer = self._session.request(method, self._base + path, json=json or None, timeout=20)
        if not answer.ok:
            raise Disagreement(f"{method} {path} answered {answer.status_code}: {answer.text[:500]}")
        return answer.json() if answer.content else None


def main() -> int:
    """Run the demo; the exit code says whether the outside world agrees with the grants."""
    if not ProcessPlan().has_scim():
        sys.stderr.write("The demo needs its SCIM server: pip install -r requirements-embedded.txt\n")
        return 1
    try:
        with Stack.temporary() as stack:
            say(f"A console of its own answers at {stack.url}, a SCIM server at {stack.scim_url}.")
            return _demo(stack)
    except (StartError, Disagreement, requests.RequestException) as problem:
        sys.stderr.write(f"The demo failed: {problem}\n")
        return 1


def _demo(stack: Stack) -> int:
    options = [part for name in PERMISSIONS for part in ("--permission", name)]
    token = stack.flask("token", "create", "demo", *options).split()[-1]
    api = Api(stack.url, token)
    application = api.call("POST", "/applications", **content.APPLICATION)
    _connect(api, application["id"], stack)
    people = [api.call("POST", "/users", **person) for person in content.PEOPLE[:3]]
    grants = [
        api.call("POST", "/grants", application_id=application["id"], user_id=one["id"]) for one in people
    ]
    _settled(api, len(grants))
    say(f"Access granted to {len(grants)} people; now {people[1]['first_name']}'s is revoked.")
    api.call("POST", f"/grants/{grants[1]['id']}/revoke", notes="Changed teams")
    runs = _settled(api, len(grants) + 1)
    names = {one["id"]: f"{one['first_name']} {one['last_name']}" for one in people}
    for run in reversed(runs):
        _print_timeline(api.call("GET", f"/runs/{run['id']}"), names)
    return _compare(api, stack, people)


def _connect(api: Api, application_id: str, stack: Stack) -> None:
    config = {"base_url": stack.scim_url, "auth": "bearer", "health_path": "/ServiceProviderConfig"}
    connection = api.call(
        "POST",
        f"/applications/{application_id}/connections",
        type="http",
        name=content.CONNECTION,
        config=config,
    )
    api.call("PUT", f"/connections/{connection['id']}/credential", value=stack.scim_token)
    tested = api.call("POST", f"/connections/{connection['id']}/test")
    say(f"Test connection: {tested['outcome']}, HTTP {tested['status']} in {tested['duration_ms']} ms.")
    for name, trigger, steps in (
        ("Create the account", "access_granted", scim.grant(connection["id"])),
        ("Deactivate the account", "access_revoked", scim.revoke(connection["id"])),
    ):
        path = f"/applications/{application_id}/workflows"
        api.call("POST", path, name=name, trigger=trigger, steps=steps, enabled=True)


def _settled(api: Api, count: int) -> list[dict[str, Any]]:
    """The runs, newest first, once there are `count` and none of them moves any more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        runs: list[dict[str, Any]] = api.call("GET", "/runs")["items"]
        if len(runs) == count and not any(one["status"] in MOVING for one in runs):
            return runs
        time.sleep(0.2)
    raise Disagreement(f"The runs did not end within {PATIENCE_SECONDS} s.")


def _print_timeline(run: dict[str, Any], names: dict[str, str]) -> None:
    event = "Access granted" if run["trigger"] == "access_granted" else "Access revoked"
    say(f"\nRun {run['id']} · {names[run['user_id']]} · {event} · {run['label']}")
    for entry in run["timeline"]:
        if entry["kind"] == "event":
            say(f"  {entry['at']}  {entry['message']}")
            continue
        if not entry["method"]:
            say(f"  {entry['at']}  {entry['step']:<11} {entry['message'] or entry['outcome']}")
            continue
        what = f"HTTP {entry['status']}" if entry["status"] else entry["class"] or entry["outcome"]
        captured = ", ".join(f"{name} = {value}" for name, value in (entry["captured"] or {}).items())
        say(
            f"  {entry['at']}  {entry['step']:<11} {entry['method']:<5} {entry['path_template'] or '':<30} "
            f"{what}, {entry['duration_ms']} ms, try {entry['attempt']} of {entry['of']}"
            f"{'; captured ' + captured if captured else ''}"
        )


def _compare(api: Api, stack: Stack, people: list[dict[str, Any]]) -> int:
    """Print the outside system's own list and hold it against the grants."""
    answer = requests.get(
        f"{stack.scim_url}/Users", headers={"Authorization": f"Bearer {stack.scim_token}"}, timeout=10
    )
    accounts = {one["userName"]: bool(one.get("active")) for one in answer.json().get("Resources", [])}
    say("\nAccounts as the SCIM server lists them:")
    for name, active in sorted(accounts.items()):
        say(f"  {name:<24} {'active' if active else 'not active'}")
    emails = {one["id"]: one["email"] for one in people}
    grants = api.call("GET", "/grants")["items"]
    wanted = {emails[one["user_id"]]: one["revoked_at"] is None for one in grants}
    if accounts != wanted:
        say("\nThese do NOT agree with the grants.")
        return 1
    say("\nThese agree with the grants: who was granted is active, who was revoked is not.")
    return 0


def say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
