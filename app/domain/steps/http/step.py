"""The API / HTTP step: what it is, how its JSON is read and written, and what it says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import ClassVar, Self, cast

from app.domain.headers import reserved_header
from app.domain.json_reader import Json, Reader, is_identifier, shown
from app.domain.mapping.json_paths import json_path_problems, stand_in
from app.domain.mapping.paths import MAX_PATH, render_path
from app.domain.mapping.render import (
    FORM_TYPE,
    QUERY,
    BodyFormat,
    query_string,
    render_headers,
    render_query,
    render_value,
    to_body,
)
from app.domain.mapping.templates import MappingError, strings_in
from app.domain.steps.base import MAX_KEY, MAX_NAME, BaseStep, CaptureRule, Head, StepType
from app.domain.steps.calls import (
    CALL_MEMBERS,
    DOUBLING_METHODS,
    IDEMPOTENT_METHODS,
    CallStep,
    Fill,
    Prepared,
    merge_headers,
    opening_headers,
    read_connection,
    read_on_status,
)
from app.domain.steps.conditions import MAX_CONDITIONS, STATUS, place_problem, read_conditions
from app.domain.steps.retry import read_retry
from app.domain.steps.scope import Notes, ScopeInfo
from app.domain.steps.statuses import SUCCESS, describe_statuses, read_statuses

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_CAPTURES = 50
MAX_CAPTURE_SOURCE = 500
MAX_NAMES = 50
_CONFLICT = 409
# A place in a list by its number: `$.Resources[0].id`.
_BY_INDEX = re.compile(r"\[-?[0-9]+\]")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 §5.6.2, token


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpStep(CallStep):
    """One HTTP call. `body` None means that none is sent; a list as a query value repeats its name."""

    type: ClassVar[StepType] = StepType.HTTP
    thing: ClassVar[str] = "An API / HTTP step"
    members: ClassVar[tuple[str, ...]] = (
        *CALL_MEMBERS, "method", "path", "query", "headers", "body_format", "capture", "expect", "failure_reason",
    )  # fmt: skip

    method: str
    path: str
    query: Mapping[str, Json] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body_format: BodyFormat = "json"
    capture: tuple[CaptureRule, ...] = ()

    @classmethod
    def read(cls, reader: Reader, head: Head) -> Self:
        """The step in `reader`, below what every step has."""
        method = reader.choice("method", METHODS, default="GET", required="Choose a method.")
        return cls(
            **head,
            connection_id=read_connection(reader),
            method=method,
            path=reader.text("path", limit=MAX_PATH, required="Enter a path, such as /users."),
            query=_query(reader),
            headers=_headers(reader),
            body=reader.mapping("body"),
            body_format=cast(BodyFormat, reader.choice("body_format", ("json", "form"), default="json")),
            capture=_capture(reader),
            success_statuses=read_statuses(reader, "success_statuses", SUCCESS),
            idempotent=reader.flag("idempotent", default=method in IDEMPOTENT_METHODS),
            retry=read_retry(reader),
            on_status=read_on_status(reader),
            expect=read_conditions(reader, "expect", "path"),
            failure_reason=_failure_reason(reader),
        )

    def to_json(self) -> dict[str, Json]:
        """The fields of its own as JSON."""
        return {
            "connection_id": self.connection_id,
            "method": self.method,
            "path": self.path,
            "query": {name: deepcopy(value) for name, value in self.query.items()},
            "headers": dict(self.headers),
            "body": deepcopy(self.body),
            "body_format": self.body_format,
            "capture": {rule.name: _capture_to_json(rule) for rule in self.capture},
            **self.call_to_json(),
        }

    @property
    def summary(self) -> str:
        """What it does, in a few words."""
        return f"{self.method} {self.path} → {describe_statuses(self.success_statuses)}"

    @property
    def path_template(self) -> str:
        """The path as the timeline shows it."""
        return self.path

    @property
    def captures(self) -> tuple[CaptureRule, ...]:
        return self.capture

    @property
    def may_create(self) -> bool:
        return self.method == "POST"

    @property
    def looks_up(self) -> bool:
        return self.method == "GET" and bool(self.capture)

    @property
    def may_double(self) -> bool:
        return not self.idempotent and self.method in DOUBLING_METHODS

    def texts(self) -> Iterator[tuple[str, str]]:
        yield from CallStep.texts(self)
        yield "path", self.path
        yield from strings_in(dict(self.query), "query")
        for name, text in self.headers.items():
            yield f"headers.{name}", text
        yield from strings_in(self.body, "body")
        for index, one in enumerate(self.expect):
            yield from strings_in(one.than, f"expect[{index}].than")
        for at, path in self.places():
            if "{{" in path:
                yield at, path

    def places(self) -> Iterator[tuple[str, str]]:
        """Each place in an answer that is looked at, with the name of its field."""
        for rule in self.capture:
            yield f"capture.{rule.name}", rule.source
        for name, conditions in (("expect", self.expect), ("retry.wait_when", self.retry.wait_when)):
            for index, one in enumerate(conditions):
                yield f"{name}[{index}].path", one.of
        if self.failure_reason:
            yield "failure_reason", self.failure_reason

    def mappings(self) -> Mapping[str, Json]:
        return {"query": dict(self.query), "body": self.body}

    def overridable(self) -> list[str]:
        return list(dict.fromkeys([*self.mapped, *(f"{QUERY}{name}" for name in self.query)]))

    def same_call(self, other: BaseStep) -> bool:
        return (
            isinstance(other, HttpStep)
            and self.connection_id == other.connection_id
            and self.method == other.method
            and self.path == other.path
        )

    def check(self, notes: Notes, info: ScopeInfo, following: Sequence[BaseStep]) -> None:
        CallStep.check(self, notes, info, following)
        _check_http(self, notes, info, following)

    def request(self, fill: Fill) -> Prepared:
        """What it sends, complete but for the credential; raises MappingError."""
        empty: list[str] = []
        # What removes may never be sent with something missing: it would mean another, or all.
        strict = self.method == "DELETE"
        path = render_path(self.path, fill.context, empty=empty)
        pairs = render_query(
            self.query, fill.context, empty=empty, overrides=fill.overrides, refuse_empty=strict
        )
        headers = opening_headers(fill.config)
        body: bytes | None = None
        if self.body is not None:
            rendered = render_value(
                self.body, fill.context, empty=empty, overrides=fill.overrides, refuse_empty=strict
            )
            body, content_type = to_body(rendered, self.body_format)
            merge_headers(headers, {"Content-Type": content_type})
        merge_headers(headers, render_headers(self.headers, fill.context, empty=empty, refuse_empty=strict))
        headers["Idempotency-Key"] = fill.idempotency_key
        query = f"?{query_string(pairs)}" if pairs else ""
        url = str(fill.config["base_url"]).rstrip("/") + path + query
        wanted = self.wanted(fill.context, captures=self.capture, expect=self.expect)
        return Prepared(self.method, url, headers, body, tuple(dict.fromkeys(empty)), wanted)


def _query(reader: Reader) -> Mapping[str, Json]:
    raw = reader.members("query")
    clean = reader.mapping("query") if raw else {}
    if len(raw) > MAX_NAMES:
        reader.problem("query", f"It can have {MAX_NAMES} names; it has {len(raw):,}.")
    if not isinstance(clean, dict) or len(raw) > MAX_NAMES:
        return {}
    for name, value in clean.items():
        several = value if isinstance(value, list) else [value]
        if not name:
            reader.problem("query", "Each value needs a name.")
        elif any(isinstance(one, dict | list) for one in several):
            reader.problem(
                f"query.{shown(name)}", "It must be text, a number, true, false or a list of these."
            )
    return clean


def _headers(reader: Reader) -> Mapping[str, str]:
    raw = reader.members("headers")
    if len(raw) > MAX_NAMES:
        reader.problem("headers", f"It can have {MAX_NAMES} names; it has {len(raw):,}.")
        return {}
    inner = reader.inner("headers", raw)
    headers: dict[str, str] = {}
    seen: set[str] = set()
    for name in raw:
        word = shown(name)
        if not isinstance(name, str) or len(name) > MAX_NAME or not _HEADER_NAME.fullmatch(name):
            inner.problem(word, "A header's name can hold letters, digits and - but no space or colon.")
        elif name.lower() in seen:
            inner.problem(word, "This header is listed twice.")
        else:
            seen.add(name.lower())
            headers[name] = inner.text(name, limit=MAX_PATH)
    return headers


def _capture(reader: Reader) -> tuple[CaptureRule, ...]:
    raw = reader.members("capture")
    if len(raw) > MAX_CAPTURES:
        reader.problem("capture", f"It can have {MAX_CAPTURES} names; it has {len(raw):,}.")
        return ()
    inner = reader.inner("capture", raw)
    rules = []
    for name, value in raw.items():
        word = shown(name)
        if not isinstance(name, str) or len(name) > MAX_KEY or not is_identifier(name):
            inner.problem(word, "A captured value's name can hold letters, digits, _ and -.")
            continue
        if isinstance(value, dict):
            rule = _capture_rule(name, inner.inner(name, value))
        else:
            source = inner.text(name, limit=MAX_CAPTURE_SOURCE, required="Say where the value is found.")
            rule = CaptureRule(name, source)
        if rule.source and not _is_capture_source(rule.source):
            inner.problem(name, "Begin with $ for a JSONPath such as $.id, or use header:Name.")
        rules.append(rule)
    return tuple(rules)


def _capture_rule(name: str, reader: Reader) -> CaptureRule:
    reader.refuse_unknown(("path", "optional", "keep", "same", "list", "choose"), "A captured value")
    keep = reader.raw.get("keep", "account")
    if keep not in ("account", "grant") and keep is not False:
        reader.problem("keep", "Keep it with the account, with the grant, or not at all: false.")
    rule = CaptureRule(
        name,
        reader.text("path", limit=MAX_CAPTURE_SOURCE, required="Say where the value is found."),
        optional=reader.flag("optional", default=False),
        keep=keep if keep in ("account", "grant") else None,
        same=reader.flag("same", default=False),
        many=reader.flag("list", default=False),
        first=reader.choice("choose", ("first",), default="") == "first",
    )
    if rule.same and rule.keep != "account":
        reader.problem("same", "Only a value that is kept with the account says which account it is.")
    if rule.many and (rule.first or rule.same):
        reader.problem(
            "list", "A list is all the values: it cannot be the first of them, or name an account."
        )
    return rule


def _is_capture_source(source: str) -> bool:
    return source != STATUS and not place_problem(source)


def _capture_to_json(rule: CaptureRule) -> Json:
    marks: dict[str, Json] = {
        **({"optional": True} if rule.optional else {}),
        **({} if rule.keep == "account" else {"keep": rule.keep or False}),
        **({"same": True} if rule.same else {}),
        **({"list": True} if rule.many else {}),
        **({"choose": "first"} if rule.first else {}),
    }
    return {"path": rule.source, **marks} if marks else rule.source


def _failure_reason(reader: Reader) -> str:
    place = reader.text("failure_reason", limit=MAX_CAPTURE_SOURCE)
    if place and not _is_capture_source(place):
        reader.problem("failure_reason", "Begin with $ for a JSONPath such as $.detail, or use header:Name.")
    return place


def _check_http(step: HttpStep, notes: Notes, info: ScopeInfo, following: Sequence[BaseStep]) -> None:
    """Note what is wrong with its headers, its body's format and what it captures."""
    _check_headers(step, notes)
    _check_body_format(step, notes)
    for at, path in step.places():
        checked = path.startswith("$") and not json_path_problems(path)
        problem = info.capture_problem(stand_in(path)) if checked else None
        if problem:
            notes.add(at, problem)
    for rule in step.capture:
        if rule.same and step.may_double:
            message = (
                "A step that makes an account makes another one where the known one is gone, and would fail then."
                " Say “the same account” at the steps that look it up, and not here."
            )
            notes.warn(f"capture.{rule.name}", message)
        if _BY_INDEX.search(rule.source) and not (rule.first or rule.many):
            message = (
                "This takes one entry of a list, and fails where there are more: nobody can tell which is meant."
                " Ask for the one that is, or take the first on purpose."
            )
            notes.warn(f"capture.{rule.name}", message)
    if len(step.expect) + len(step.only_if) + len(step.retry.wait_when) > MAX_CONDITIONS:
        notes.add("expect", f"A step can have {MAX_CONDITIONS} conditions in all.")
    if step.method != "GET" and _CONFLICT in step.success_statuses and step.capture:
        _check_lookup_follows(step, notes, following)


def _check_headers(step: HttpStep, notes: Notes) -> None:
    for name in step.headers:
        if reserved_header(name):
            hint = (
                " Credentials belong to the connection."
                if name.lower() in ("authorization", "cookie")
                else ""
            )
            notes.add(f"headers.{name}", f"{name} is set by the console and not by a step.{hint}")


def _check_body_format(step: HttpStep, notes: Notes) -> None:
    if step.body is None:
        return
    if step.body_format == "form":
        try:
            to_body(step.body, "form")
        except MappingError as error:
            notes.add(error.field, f"A form holds single values and lists of them. {error.message}")
    for name, value in step.headers.items():
        if name.lower() != "content-type" or "{{" in value:
            continue
        fits = FORM_TYPE in value.lower() if step.body_format == "form" else "json" in value.lower()
        if not fits:
            kind = "a form" if step.body_format == "form" else "JSON"
            notes.warn(f"headers.{name}", f"The body is sent as {kind}, which this type does not say.")


def _check_lookup_follows(step: HttpStep, notes: Notes, following: Sequence[BaseStep]) -> None:
    """A create that takes “already exists” for a success has nothing to capture then; a lookup finds it."""
    if not any(one.looks_up for one in following):
        message = (
            "409 counts as success, but its answer seldom holds the values captured here."
            " Add a GET step after this one that looks the account up and captures them."
        )
        notes.warn("capture", message)
    elif any(not rule.optional for rule in step.capture):
        message = (
            "409 counts as success, but a required value that its answer does not hold fails the step."
            " Mark it optional: the lookup that follows captures it."
        )
        notes.warn("capture", message)
