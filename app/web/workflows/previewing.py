"""What the open step comes to while it is being written: for a sample, by the same code that sends it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from app.domain.steps.calls import Prepared
from app.domain.steps.fields import StepForm, Values, body_of, first
from app.domain.steps.registry import Step
from app.domain.steps.rows import BadRow, pretty, to_rows
from app.domain.steps.scope import ScopeInfo
from app.domain.steps.tasks import Field, FieldType
from app.domain.workflows.template_checks import step_template_problems
from app.errors import FieldError
from app.queries.dry_run import preview_step
from app.queries.samples import Sample
from app.web.workflows import cards, picker
from app.web.workflows.capturing import Tried, try_captures
from app.web.workflows.drafts import Draft

_PLACEHOLDER = re.compile(r"(‹[^›]*›)")
_FIELD_WORDS = {
    FieldType.TEXT: "text",
    FieldType.NUMBER: "a number",
    FieldType.BOOLEAN: "yes or no",
    FieldType.CHOICE: "a choice",
}


@dataclass(frozen=True, slots=True)
class Preview:
    """The open step as it stands: what it would send, what is wrong with it, what it could use.

    `request` is None for a person's turn and for what cannot be sent; `problems` name the editor's inputs.
    """

    request: Prepared | None = field(repr=False)
    prompt: str = field(repr=False)
    asks: Sequence[str] = field(repr=False)
    problems: Sequence[FieldError]
    warnings: Sequence[str]
    tried: Sequence[Tried] = field(repr=False)
    other_body: dict[str, Any] = field(repr=False)
    tokens: Sequence[picker.Group] = field(repr=False)
    schedule: str = ""

    @property
    def line(self) -> str:
        """The request's first line, "" while there is none."""
        return f"{self.request.method} {self.request.url}" if self.request else ""

    @property
    def path_words(self) -> str:
        """What stands below the path: where the request goes, or why it goes nowhere."""
        wrong = [one.message for one in self.problems if one.field == "path"]
        said = [one for one in self.warnings if one.startswith("path: ")]
        return self.line or next(iter([*wrong, *(one.removeprefix("path: ") for one in said)]), "")

    @property
    def body(self) -> str:
        """The body as it would be sent."""
        return self.request.body.decode() if self.request and self.request.body is not None else ""


def look(
    session: Session, draft: Draft, reading: cards.Reading, info: ScopeInfo, sample: Sample
) -> Preview | None:
    """What the open step comes to; None when none is open."""
    slot = draft.opened
    if slot is None:
        return None
    at = draft.slots.index(slot)
    step, earlier = reading.steps[at], cards.earlier(draft, reading)
    problems = _problems(draft, reading, at, earlier, info)
    found = preview_step(session, step, earlier, sample) if step is not None and not draft.errors else None
    return Preview(
        request=found.request if found else None,
        prompt=found.prompt if found else "",
        asks=[_asked(one) for one in step.asks_for] if step is not None else (),
        problems=problems,
        warnings=_unsaid(found.warnings, problems) if found else (),
        tried=try_captures(draft.typed),
        other_body=other_body(draft.typed),
        schedule=cards.schedule(draft.typed),
        tokens=picker.grouped(cards.tokens(draft, reading, info.account_names), earlier, sample),
    )


def _asked(one: Field) -> str:
    """A field of a task in words: `Team: a choice of Red, Blue (required)`."""
    kind = f"a choice of {', '.join(one.options)}" if one.options else _FIELD_WORDS[one.type]
    return f"{one.label}: {kind}{' (required)' if one.required else ''}"


def _unsaid(warnings: Iterable[str], problems: Sequence[FieldError]) -> list[str]:
    """The warnings that no problem says already, such as that a token which does not exist is empty."""
    said = [one.message for one in problems]
    return [
        one
        for one in warnings
        if not any(words in one or one.removesuffix("empty.") + "not" in words for words in said)
    ]


def _problems(
    draft: Draft, reading: cards.Reading, at: int, earlier: Sequence[Step], info: ScopeInfo
) -> list[FieldError]:
    """What is wrong with the open step, by input: what cannot be read, and else what it means."""
    if draft.errors:
        return list(draft.errors)
    step = reading.steps[at]
    found = cards.by_step(reading.errors).get(at, [])
    if step is not None and not reading.is_whole:
        # The steps together cannot be checked yet, but tokens can.
        names = step_template_problems(step, earlier, info.account_names)
        found = [FieldError(name, message) for name, message in names]
    return cards.fields_of(found, draft.typed)


def other_body(typed: Values) -> dict[str, Any]:
    """The body as JSON and as rows, for showing the one that is not edited. Empty when it cannot be read."""
    try:
        body = body_of(typed)
    except (BadRow, ValueError):
        return {}
    return {"json": pretty(body), "rows": to_rows(body) or [], "edited_as": first(typed, "body_as")}


def counts(form: StepForm, errors: Iterable[FieldError]) -> Counter[str]:
    """How many of the open step's problems lie in each part of its editor."""
    return Counter(
        next((part.name for part in form.parts if error.field in part.inputs), "general") for error in errors
    )


def pieces(text: str) -> list[tuple[str, bool]]:
    """`text` cut where a placeholder such as `‹steps.create.id›` stands, with whether each piece is one."""
    return [(one, one.startswith("‹")) for one in _PLACEHOLDER.split(text) if one]
