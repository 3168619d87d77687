"""What steps that call another system over HTTP share: connection, statuses, retry, and the request they become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from app.domain.headers import author_header_problem
from app.domain.json_reader import Json, Reader, Scalar, shown
from app.domain.mapping.json_paths import render_json_path
from app.domain.mapping.render import field_names, render_value
from app.domain.mapping.values import Context
from app.domain.steps.base import MAX_KEY, BaseStep, CaptureRule, FailureEdge, GoTo, SuccessEdge, edge_to_json
from app.domain.steps.conditions import Conditions, conditions_to_json
from app.domain.steps.retry import NO_RETRY, Retry, retry_to_json
from app.domain.steps.scope import Names, Notes, ScopeInfo
from app.domain.steps.statuses import (
    SUCCESS,
    StatusSet,
    describe_statuses,
    status_range,
    statuses_to_json,
)

MAX_STATUS_EDGES = 20
# A step that asks this often is told so: each time is a call, and a line on the timeline.
MANY_POLLS = 2_000

# RFC 9110 §9.2.2.
IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE"})
# Methods whose effect a repeat may double.
DOUBLING_METHODS = frozenset({"POST", "PATCH"})

# What every call says of its sender: an allow-list at the other side lets all of them in, or none.
USER_AGENT = "AccessAutomation/1"

CALL_MEMBERS = ("connection_id", "body", "success_statuses", "idempotent", "retry", "on_status")


@dataclass(frozen=True, slots=True)
class Fill:
    """What a step's templates are filled from, and where it is sent: `config` is its connection's.

    `overrides` are one-off values put over what the mapping came to.
    """

    context: Context
    config: Mapping[str, Any]
    idempotency_key: str
    overrides: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for in an answer: a step's own words, with the tokens in them filled in."""

    captures: tuple[CaptureRule, ...] = ()
    expect: Conditions = ()
    wait_when: Conditions = ()
    failure_reason: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request complete but for its credential: what a dry-run shows and what a try sends."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = field(repr=False)
    empty_tokens: tuple[str, ...] = ()
    wanted: Wanted = field(default_factory=Wanted, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStep(BaseStep):
    """One call over a connection. What is sent, and what is kept of the answer, is the type's own."""

    calls_out: ClassVar[bool] = True

    connection_id: str
    body: Json = None
    success_statuses: StatusSet = SUCCESS
    idempotent: bool = False
    retry: Retry = NO_RETRY
    on_status: Mapping[int, GoTo] = field(default_factory=dict)
    expect: Conditions = ()
    failure_reason: str = ""

    @property
    def call(self) -> Self:
        """The step itself, for those who make calls; None of a step that makes none."""
        return self

    @property
    def connection_number(self) -> int | None:
        text = self.connection_id
        return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None

    @property
    def captures(self) -> tuple[CaptureRule, ...]:
        """What is kept of the answer."""
        return ()

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(rule.name for rule in self.captures)

    @property
    def keeps(self) -> tuple[CaptureRule, ...]:
        return tuple(rule for rule in self.captures if rule.keep is not None)

    def edges(self) -> Iterator[tuple[str, SuccessEdge | FailureEdge]]:
        yield from BaseStep.edges(self)
        for status, edge in self.on_status.items():
            yield f"on_status.{status}", edge

    @property
    def may_double(self) -> bool:
        return not self.idempotent

    @property
    def mapped(self) -> list[str]:
        """The names of the fields that its body gives values to."""
        return field_names(self.body)

    def wanted(
        self, context: Context, *, captures: tuple[CaptureRule, ...] = (), expect: Conditions = ()
    ) -> Wanted:
        """What is looked for in the answer, its tokens filled in before anything is sent; raises MappingError."""
        return Wanted(
            tuple(
                replace(one, source=render_json_path(one.source, context, field=f"capture.{one.name}"))
                for one in captures
            ),
            _filled(expect, context, "expect"),
            _filled(self.retry.wait_when, context, "retry.wait_when"),
            render_json_path(self.failure_reason, context, field="failure_reason"),
        )

    def overridable(self) -> list[str]:
        return list(dict.fromkeys(self.mapped))

    def mappings(self) -> Mapping[str, Json]:
        return {"body": self.body}

    def details(self) -> list[str]:
        """What follows its summary in lists."""
        tries = [f"{self.retry.attempts} tries, {self.retry.backoff}"] if self.retry.is_on else []
        kept = [rule.name for rule in self.captures if rule.keep == "account"]
        read = [rule.name for rule in self.captures if rule.keep is None]
        names = [f"{word} {', '.join(found)}" for word, found in (("keeps", kept), ("reads", read)) if found]
        return [*tries, *names]

    def sentences(self) -> list[str]:
        expects = ["Expects " + " and ".join(one.words for one in self.expect)] if self.expect else []
        waits = [self.retry.waits_in_words] if self.retry.waits else []
        grant = [rule.name for rule in self.captures if rule.keep == "grant"]
        keeps = [f"Keeps {', '.join(grant)} with this grant"] if grant else []
        return [*BaseStep.sentences(self), *expects, *waits, *keeps]

    def check(self, notes: Notes, info: ScopeInfo, following: Sequence[BaseStep]) -> None:  # noqa: ARG002
        self._check_connection(notes, info)
        self._check_retry(notes)

    def in_words(self, names: Names) -> Mapping[str, Json]:
        ways: dict[str, Json] = {str(status): f"go to {edge.key}" for status, edge in self.on_status.items()}
        return {
            **({"on_status": ways} if ways else {}),
            "connection_id": names.connections.get(self.connection_id, self.connection_id),
            "success_statuses": describe_statuses(self.success_statuses),
            "retry": {
                **retry_to_json(self.retry),
                "wait_statuses": describe_statuses(self.retry.wait_statuses) or "none",
            },
        }

    def call_to_json(self) -> dict[str, Json]:
        """How its answers are judged and when it is tried again."""
        return {
            "success_statuses": statuses_to_json(self.success_statuses),
            "idempotent": self.idempotent,
            "retry": retry_to_json(self.retry),
            # Named only where they are used, here and below: what was saved before reads as it was written.
            **({"expect": conditions_to_json(self.expect, "path")} if self.expect else {}),
            **({"failure_reason": self.failure_reason} if self.failure_reason else {}),
            **(
                {"on_status": {str(status): edge_to_json(edge) for status, edge in self.on_status.items()}}
                if self.on_status
                else {}
            ),
        }

    def _check_connection(self, notes: Notes, info: ScopeInfo) -> None:
        found = info.connections.get(self.connection_id)
        if found is None:
            message = "This application has no such connection. Choose one of its connections."
            notes.add("connection_id", message)
        elif found != self.type.value:
            message = (
                f"This connection is of the type {found}; the step needs one of the type {self.type.value}."
            )
            notes.add("connection_id", message)

    def _check_retry(self, notes: Notes) -> None:
        retry = self.retry
        if retry.is_on and not self.idempotent:
            if retry.lost_answer == "ask":
                meaning = (
                    "After a server error the call is sent again, which may do it twice."
                    " When no answer came, a person is asked first."
                )
            else:
                meaning = (
                    "A call whose answer was lost may have taken effect, and sending it again may do it twice."
                    " Turn retry off, choose to ask a person, or mark the step idempotent if the other system"
                    " ignores duplicates."
                )
            notes.warn("retry.attempts", f"This step is not marked idempotent. {meaning}")
        accepted = any(low < 300 and high >= 200 for low, high in retry.wait_statuses.ranges)
        if self.may_double and (accepted or retry.wait_when):
            message = (
                "While the answer means “not yet” this call is sent again, which may do it twice. Let this step"
                " succeed, and wait in a GET step after it."
            )
            notes.warn("retry.wait_when" if retry.wait_when else "retry.wait_statuses", message)
        every = retry.poll.every_seconds
        if every is not None and retry.poll.for_seconds / every > MANY_POLLS:
            times = f"{retry.poll.for_seconds // every:,}"
            notes.warn("retry.poll", f"This may ask {times} times. Ask less often, or for a shorter time.")
        for status in self.on_status:
            if status in self.success_statuses:
                message = f"HTTP {status} counts as a success of this step, so this way is never taken."
                notes.add(f"on_status.{status}", f"{message} Take it out of the success statuses.")
            elif status in retry.wait_statuses:
                message = (
                    f"HTTP {status} is a status to wait for too; it goes this way at once and never waits."
                )
                notes.warn(f"on_status.{status}", message)
        both = [
            low for low, high in retry.wait_statuses.ranges if low == high and low in self.success_statuses
        ]
        if both:
            message = f"{both[0]} is listed as a success too, so it is never waited for."
            notes.warn("retry.wait_statuses", message)


def _filled(conditions: Conditions, context: Context, name: str) -> Conditions:
    return tuple(
        replace(
            one,
            of=render_json_path(one.of, context, field=f"{name}[{index}].path"),
            than=render_value(one.than, context, field=f"{name}[{index}].than"),
        )
        for index, one in enumerate(conditions)
    )


def read_connection(reader: Reader) -> str:
    return reader.record_id("connection_id", required="Choose a connection.")


def read_on_status(reader: Reader) -> Mapping[int, GoTo]:
    """Where a run goes on for an answer of one status: a status → a step."""
    raw = reader.members("on_status")
    if len(raw) > MAX_STATUS_EDGES:
        reader.problem("on_status", f"It can have {MAX_STATUS_EDGES} statuses; it has {len(raw):,}.")
        return {}
    inner = reader.inner("on_status", raw)
    found: dict[int, GoTo] = {}
    for word, value in raw.items():
        status = status_range(word)
        if status is None or status[0] != status[1] or not isinstance(word, str):
            inner.problem(shown(word), "Use a status from 100 to 599.")
        elif not (isinstance(value, dict) and list(value) == ["step"]):
            inner.problem(word, 'Name one step: {"step": "key"}.')
        else:
            step = inner.inner(word, value)
            found[status[0]] = GoTo(
                step.identifier("step", limit=MAX_KEY, required="Name the step to go to.")
            )
    return found


def opening_headers(config: Mapping[str, object]) -> dict[str, str]:
    """The headers that every call of an HTTP connection begins with: the product's, and the connection's own.

    One that may not be sent was refused when it was saved, and is left out.
    """
    headers = {"Accept": "application/json, */*;q=0.5", "User-Agent": USER_AGENT}
    given = config.get("headers")
    if isinstance(given, Mapping):
        merge_headers(
            headers, {n: text for n, text in given.items() if author_header_problem(n, text) is None}
        )
    return headers


def merge_headers(headers: dict[str, str], added: Mapping[str, str]) -> None:
    """Later headers replace earlier ones of the same name, however they are spelt."""
    for name, value in added.items():
        for known in [one for one in headers if one.lower() == name.lower()]:
            del headers[known]
        headers[name] = value
