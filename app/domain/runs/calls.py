"""A call to be made, and what it came to, in plain data: what decisions and connectors tell each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from app.domain.json_reader import Json
from app.domain.states import FailureClass
from app.domain.steps.registry import AnyCall

MAX_DETAIL = 1000
NOT_STORABLE = "What it answered holds something that cannot be stored."


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one try.

    `lost` says that the request may have left and no status line came back: only then can it be
    unknown whether the call took effect.  `captured` is what was found, also where something else was not.
    `retry_after` is in seconds.  `detail` is our own safe text (a host, a field name), with text of the other system
    only where the step's author asks for its reason.  `branches` says that the step's author sends answers of this
    status to another step.  `ours` says that the failure is no fault of the other system:
    nothing was sent to it.  `refused` says that a token endpoint did not take the credential.
    """

    ok: bool
    failure: FailureClass | None = None
    http_status: int | None = None
    lost: bool = False
    retry_after: float | None = None
    captured: Mapping[str, Json] = field(default_factory=dict)
    detail: str = ""
    ours: bool = False
    refused: bool = False
    branches: bool = False

    @classmethod
    def success(
        cls, http_status: int | None = None, captured: Mapping[str, Json] | None = None, detail: str = ""
    ) -> Outcome:
        return cls(True, http_status=http_status, captured=captured or {}, detail=storable(detail))

    @classmethod
    def failed(
        cls,
        failure: FailureClass,
        *,
        http_status: int | None = None,
        lost: bool = False,
        retry_after: float | None = None,
        detail: str = "",
        ours: bool = False,
        refused: bool = False,
        captured: Mapping[str, Json] | None = None,
        branches: bool = False,
    ) -> Outcome:
        kept = captured or {}
        return cls(
            False, failure, http_status, lost, retry_after, kept, storable(detail), ours, refused, branches
        )

    def bare(self) -> Outcome:
        """What can be written where the whole cannot: without any text of the other side.

        Values that were captured are not left out in silence: later steps need them, so the step failed.
        """
        if self.ok and self.captured:
            return Outcome.failed(FailureClass.MAPPING, http_status=self.http_status, detail=NOT_STORABLE)
        return replace(self, captured={}, detail=self.detail and NOT_STORABLE)


def storable(text: str) -> str:
    """Text that may come from elsewhere as every database takes it and a page shows it: a line of at most MAX_DETAIL
    characters, without control characters and halves of surrogate pairs."""
    kept = "".join(one if one.isprintable() else " " for one in text)
    return kept if len(kept) <= MAX_DETAIL else kept[: MAX_DETAIL - 1] + "…"


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
    `sealed_overrides` holds one-off values for this try, still encrypted.  `known` are the values that what is
    captured under the same name must equal, each with whose word it is.
    """

    run_id: int
    fence: int
    attempt: int
    step: AnyCall
    idempotency_key: str
    context: Mapping[str, Any] = field(repr=False)
    connection: ConnectionData | None
    sealed_overrides: str | None = field(default=None, repr=False)
    known: Mapping[str, tuple[Json, str]] = field(default_factory=dict, repr=False)
