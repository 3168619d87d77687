"""The webhook step: a signed POST (Standard Webhooks 1.0.0)."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar, Self

from app.domain.json_reader import Json, Reader
from app.domain.mapping.render import render_value, to_body
from app.domain.mapping.templates import strings_in
from app.domain.steps.base import BaseStep, Head, StepType
from app.domain.steps.calls import (
    CALL_MEMBERS,
    USER_AGENT,
    CallStep,
    Fill,
    Prepared,
    read_connection,
    read_on_status,
)
from app.domain.steps.retry import read_retry
from app.domain.steps.statuses import SUCCESS, describe_statuses, read_statuses


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookStep(CallStep):
    """One signed POST."""

    type: ClassVar[StepType] = StepType.WEBHOOK
    thing: ClassVar[str] = "A webhook step"
    members: ClassVar[tuple[str, ...]] = CALL_MEMBERS
    method: ClassVar[str] = "POST"
    path_template: ClassVar[None] = None

    @classmethod
    def read(cls, reader: Reader, head: Head) -> Self:
        """The step in `reader`, below what every step has."""
        body = reader.mapping("body")
        return cls(
            **head,
            connection_id=read_connection(reader),
            body={} if body is None else body,
            success_statuses=read_statuses(reader, "success_statuses", SUCCESS),
            idempotent=reader.flag("idempotent", default=False),
            retry=read_retry(reader),
            on_status=read_on_status(reader),
        )

    def to_json(self) -> dict[str, Json]:
        """The fields of its own as JSON."""
        return {
            "connection_id": self.connection_id,
            "body": deepcopy(self.body),
            **self.call_to_json(),
        }

    @property
    def summary(self) -> str:
        """What it does, in a few words."""
        return f"Signed webhook → {describe_statuses(self.success_statuses)}"

    def texts(self) -> Iterator[tuple[str, str]]:
        yield from CallStep.texts(self)
        yield from strings_in(self.body, "body")

    def same_call(self, other: BaseStep) -> bool:
        return isinstance(other, WebhookStep) and self.connection_id == other.connection_id

    def request(self, fill: Fill) -> Prepared:
        """What it sends, complete but for the signature; raises MappingError."""
        empty: list[str] = []
        rendered = render_value(self.body, fill.context, empty=empty, overrides=fill.overrides)
        body, content_type = to_body(rendered, "json")
        headers = {
            "User-Agent": USER_AGENT,
            "Content-Type": content_type,
            "Idempotency-Key": fill.idempotency_key,
            # The same for all tries of the step, so that a receiver can tell a repeat.
            "webhook-id": fill.idempotency_key,
        }
        url, tokens = str(fill.config["url"]), tuple(dict.fromkeys(empty))
        return Prepared("POST", url, headers, body, tokens, self.wanted(fill.context))
