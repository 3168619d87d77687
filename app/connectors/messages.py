"""What goes into the HTTP client and what comes out of it: plain data, and what is raised where nothing does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.domain.headers import FRAMING_HEADERS, header_problem
from app.domain.runs.calls import storable
from app.domain.states import FailureClass
from app.domain.steps.calls import IDEMPOTENT_METHODS, USER_AGENT
from app.errors import AppError

_METHOD = re.compile(r"[A-Z]{1,20}")


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent.  `ca_bundle` is PEM text that replaces the system's trust for this call.

    `may_go` is asked when the first byte is about to be written, after whatever went before has taken its time.
    `repeatable` says whether twice is as good as once; None leaves it to the method.  Only requests of one `owner`
    share the connections that are kept.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout_seconds: float = 30.0
    ca_bundle: str | None = field(default=None, repr=False)
    may_go: Callable[[], bool] | None = field(default=None, repr=False, compare=False)
    repeatable: bool | None = None
    owner: int | str | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be sent again when a kept connection turned out to be closed."""
        return self.method in IDEMPOTENT_METHODS if self.repeatable is None else self.repeatable


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose status line was read.

    `headers` looks names up without regard to case.  `body` is decoded and at most 64 KiB; `truncated` says
    that the answer was longer, broke off, or had not ended at the deadline.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    truncated: bool
    duration_ms: int


class ConfigurationError(AppError):
    """The connection lacks something that this call needs; the message says what and never holds a secret."""


class CallFailed(Exception):
    """No answer.  `lost` is true only when the request may have left and no status line was read.

    `kind` is timeout, network, tls or egress_blocked, or mapping for a header that cannot be sent.  `detail`
    is our own sentence and names at most the host.  `ours`: the other side has no part in it.
    """

    ours = False

    def __init__(self, kind: FailureClass, lost: bool, detail: str, duration_ms: int = 0) -> None:
        super().__init__(detail)
        self.kind = kind
        self.lost = lost
        self.detail = storable(detail)
        self.duration_ms = duration_ms


NOT_OURS = "Nothing was sent: the worker could not be sure any more that the run was its own."


class NoLongerWanted(CallFailed):
    """Nothing was sent: whoever asked for the call may not have it made any more."""

    ours = True

    def __init__(self) -> None:
        super().__init__(FailureClass.TIMEOUT, False, NOT_OURS)


def sendable_headers(request: Request) -> dict[str, bytes]:
    """The headers as they go out; raises CallFailed for any that may not, and for a method that is none."""
    if not _METHOD.fullmatch(request.method):
        raise CallFailed(FailureClass.MAPPING, False, "The method is not one that can be sent.")
    headers: dict[str, bytes] = {}
    has_agent = False
    for name, value in request.headers.items():
        problem = header_problem(name, value)
        if problem is None and name.lower() in FRAMING_HEADERS:
            problem = f"The header {name} is set by the client itself."
        if problem is not None:
            raise CallFailed(FailureClass.MAPPING, False, problem)
        has_agent = has_agent or name.lower() == "user-agent"
        # Beyond ASCII RFC 9110 §5.5 leaves the encoding open; UTF-8 is what receivers expect today.
        headers[name] = value.encode()
    if not has_agent:
        headers["User-Agent"] = USER_AGENT.encode()
    return headers
