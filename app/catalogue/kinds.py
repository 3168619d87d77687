"""What a template consists of: plain data, and the few questions that nobody else can answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, slots=True)
class TemplateQuestion:
    """One field of the connection that only the administrator knows. `given` stands in the form at first."""

    field: str
    label: str
    hint: str
    given: str = ""


@dataclass(frozen=True, slots=True)
class SystemTemplate:
    """A connection and the two workflows of one vendor.

    `config` is the connection's configuration but for what `questions` ask; `credential` says what to enter as
    its credential later.  `needs` says what must hold for it to work.
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
