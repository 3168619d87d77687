"""What one try of a step came to, in plain data: the bridge from connectors to decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.domain.json_reader import Scalar
from app.domain.states import FailureClass


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one try.

    `lost` says that the request may have left and no status line came back (SAFETY §3): only then can it be
    unknown whether the call took effect.  `retry_after` is in seconds.  `detail` is our own safe text (a host,
    a field name), never text of the other system.  `ours` says that the failure is no fault of the other system:
    nothing was sent to it.  `refused` says that a token endpoint did not take the credential.
    """

    ok: bool
    failure: FailureClass | None = None
    http_status: int | None = None
    lost: bool = False
    retry_after: float | None = None
    captured: Mapping[str, Scalar] = field(default_factory=dict)
    detail: str = ""
    ours: bool = False
    refused: bool = False

    @classmethod
    def success(cls, http_status: int | None = None, captured: Mapping[str, Scalar] | None = None) -> Outcome:
        return cls(True, http_status=http_status, captured=captured or {})

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
    ) -> Outcome:
        return cls(False, failure, http_status, lost, retry_after, {}, detail, ours, refused)
