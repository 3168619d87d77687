"""What a template consists of: plain data, and the few questions that nobody else can answer.

Every template goes by the same rules. What is known of the account comes first, by its id; otherwise it is looked up
by what never changes, and exactly one is found or none. Nothing is made before that, and nothing is believed to be
gone before an answer in the vendor's own form has shown that the address is right.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Step = dict[str, Any]
# Takes the id of the connection, gives the steps in the API's form.
Steps = Callable[[str], list[Step]]

# Of what a system asks for a pause with, and how long the pauses are: the same for every template.
RETRY: Mapping[str, Any] = {
    "attempts": 4,
    "backoff": "exponential",
    "delay_seconds": 2,
    "wait_statuses": [429],
}
# A success that may also be that there is nothing, told by the captures: a page in HTML is never one.
OR_NOTHING = ["200-299", 404]
# Said by the connection: only then is a page in HTML known to be none of the vendor's answers.
ASKS_FOR_JSON: Mapping[str, str] = {"Accept": "application/json"}
# An answer in another form is not the vendor's: it is a page of some web server.
JSON_ANSWER: Mapping[str, Any] = {"path": "header:Content-Type", "is": "contains", "than": "json"}


@dataclass(frozen=True, slots=True)
class TemplateQuestion:
    """One thing that only the administrator knows. `given` stands in the form at first.

    It is a field of the connection, or with `in_steps` what stands in the steps as `<field>`.
    """

    field: str
    label: str
    hint: str
    given: str = ""
    in_steps: bool = False


@dataclass(frozen=True, slots=True)
class SystemTemplate:
    """A connection and the two workflows of one vendor.

    `config` is the connection's configuration but for what `questions` ask; `credential` says what to enter as
    its credential later.  `needs` says what must hold for it to work.  `revoke_policy` says which revokes run.
    """

    key: str
    name: str
    vendor: str
    summary: str
    needs: str
    credential: str
    documented_at: str
    config: Mapping[str, Any]
    questions: tuple[TemplateQuestion, ...]
    grant: Steps
    revoke: Steps
    revoke_policy: str = "last_active_grant"


def http(key: str, name: str, connection_id: str, method: str, path: str, **more: Any) -> Step:
    """A call in the API's form, tried again when the system is away or asks for a pause."""
    return {
        "key": key,
        "name": name,
        "type": "http",
        "connection_id": connection_id,
        "method": method,
        "path": path,
        "retry": dict(RETRY),
    } | more


def look(key: str, name: str, connection_id: str, path: str, **more: Any) -> Step:
    """A GET whose answer must be JSON; `expect` says what else must hold."""
    expect = [dict(JSON_ANSWER), *more.pop("expect", [])]
    return http(key, name, connection_id, "GET", path, expect=expect, **more)


def here(name: str, connection_id: str, path: str, place: str, **more: Any) -> Step:
    """Shows that the address is right, so that a 404 of a later step is the vendor's word: nobody is there."""
    return look("here", name, connection_id, path, expect=[{"path": place, "is": "not_empty"}], **more)


def if_empty(*tokens: str) -> list[dict[str, str]]:
    """Only if nothing is known by these names."""
    return [{"value": f"{{{{ {one} }}}}", "is": "empty"} for one in tokens]


def if_known(*tokens: str) -> list[dict[str, str]]:
    """Only if something is."""
    return [{"value": f"{{{{ {one} }}}}", "is": "not_empty"} for one in tokens]


def the_account(path: str, *, optional: bool = False) -> dict[str, Any]:
    """The id of the account, which must be the one that is known, where one is."""
    return {"path": path, "same": True} | ({"optional": True} if optional else {})


def in_passing(path: str) -> dict[str, Any]:
    """What this run alone needs to know."""
    return {"path": path, "keep": False}


def none_at(path: str) -> dict[str, Any]:
    """The answer holds nothing there."""
    return {"path": path, "is": "empty"}


def go_to(key: str) -> dict[str, str]:
    return {"step": key}


def filled(template: Any, answers: Mapping[str, str]) -> Any:
    """Steps or configuration with the answers that stand in them, each as one segment of a path."""
    text = json.dumps(template)
    for field, answer in answers.items():
        text = text.replace(f"<{field}>", quote(answer.strip(), safe=""))
    return json.loads(text)
