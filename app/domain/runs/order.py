"""A call that is to be made, in plain data: what the engine hands to the connectors after the commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.domain.workflows.steps import HttpStep, WebhookStep


@dataclass(frozen=True, slots=True)
class ConnectionData:
    """A connection as it is now; `sealed` is its credential, still encrypted, entered at `credential_set_at`."""

    id: int
    application_id: int
    type: str
    name: str
    config: Mapping[str, Any]
    sealed: str | None = field(default=None, repr=False)
    credential_set_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One try to make.

    `connection` is None when it is gone.  `idempotency_key` is the same for all tries of the step in its run.
    `sealed_overrides` holds one-off values for this try, still encrypted.
    """

    run_id: int
    fence: int
    attempt: int
    step: HttpStep | WebhookStep
    idempotency_key: str
    context: Mapping[str, Any] = field(repr=False)
    connection: ConnectionData | None
    sealed_overrides: str | None = field(default=None, repr=False)
