"""The preview beside the open step: what it would send, its tokens to pick, and captures tried on a pasted answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from app.domain.mapping.filters import Placeholder, as_text
from app.domain.mapping.quoting import quoting_warnings
from app.domain.runs.simulate import supposed
from app.domain.steps.calls import Prepared
from app.domain.steps.fields import StepForm, Values, body_of, first
from app.domain.steps.proposals import Notice, Shape
from app.domain.steps.registry import Step
from app.domain.steps.rows import BadRow, pretty, to_rows
from app.domain.steps.scope import ScopeInfo
from app.domain.steps.tasks import FieldType, TaskField
from app.domain.workflows.checks import step_template_problems
from app.errors import FieldError
from app.queries.dry_run import preview_step
from app.queries.samples import Sample
from app.web.workflows import cards
from app.web.workflows.answers import TriedCapture, look_at_answer, try_captures
from app.web.workflows.drafts import Draft
from app.web.workflows.inputs import base_of, fields_of

_LABELS = {"event": "Trigger event", "grantee": "Grantee", "application": "Application", "grant": "Grant"}
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class TokenChoice:
    """A token: its name and what it comes to for the sample, in words."""

    name: str
    value: str

    @property
    def text(self) -> str:
        """What is put into the field."""
        return f"{{{{ {self.name} }}}}"


@dataclass(frozen=True, slots=True)
class TokenGroup:
    label: str
    choices: list[TokenChoice] = field(default_factory=list)


def grouped(names: Iterable[str], earlier: Sequence[Step], sample: Sample) -> list[TokenGroup]:
    """The tokens `names` by where their value comes from, in the order in which they are given."""
    context = sample.filled(supposed(earlier, sample.known))
    called = {one.key: one.name for one in earlier}
    groups: dict[str, TokenGroup] = {}
    for name in names:
        root, *rest = name.split(".")
        if root == "steps":
            place, label = f"steps.{rest[0]}", f"Step: {called.get(rest[0], rest[0])}"
        else:
            place, label = root, _LABELS.get(root, "Account, from earlier runs")
        groups.setdefault(place, TokenGroup(label)).choices.append(
            TokenChoice(name, _words(_found(context, name)))
        )
    return list(groups.values())


def _found(context: Mapping[str, object], name: str) -> object:
    found: object = context
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _words(value: object) -> str:
    if isinstance(value, Placeholder):
        return "known when it runs"
    text = as_text(value) if isinstance(value, str | int | float | bool | None) else ""
    return (text if len(text) <= _SHOWN else text[:_SHOWN] + "…") or "empty here"


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
    tried: Sequence[TriedCapture] = field(repr=False)
    other_body: dict[str, Any] = field(repr=False)
    tokens: Sequence[TokenGroup] = field(repr=False)
    schedule: str = ""
    is_web_page: bool = False
    noticed: Sequence[tuple[Notice, Shape]] = field(default=(), repr=False)

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
    is_page, found_words = look_at_answer(draft.typed)
    return Preview(
        is_web_page=is_page,
        noticed=found_words,
        request=found.request if found else None,
        prompt=found.prompt if found else "",
        asks=[_asked(one) for one in step.asks_for] if step is not None else (),
        problems=problems,
        warnings=[*(_unsaid(found.warnings, problems) if found else ()), *_quoting(step, problems)],
        tried=try_captures(draft.typed),
        other_body=other_body(draft.typed),
        schedule=cards.schedule(draft.typed),
        tokens=grouped(cards.tokens(draft, reading, info), earlier, sample),
    )


def _quoting(step: Step | None, problems: Sequence[FieldError]) -> list[str]:
    """Where a value of the step could leave its quotes; nothing while something is wrong with it."""
    texts = step.texts() if step is not None and not problems else ()
    return [words for name, text in texts for _, _, words in quoting_warnings(name, text)]


def _asked(one: TaskField) -> str:
    """A field of a task in words: `Team: a choice of Red, Blue (required)`."""
    kind = f"a choice of {', '.join(one.options)}" if one.options else _FIELD_WORDS[one.type]
    return f"{one.label}: {kind}{' (required)' if one.required else ''}"


def _unsaid(warnings: Iterable[str], problems: Sequence[FieldError]) -> list[str]:
    """The warnings that no problem says already, such as that a token which does not exist is empty."""
    said = [one.message for one in problems]
    return [
        one
        for one in warnings
        if not any(words in one or f"{_empty_token(one)} is not" in words for words in said)
    ]


def _empty_token(warning: str) -> str:
    """The token that a warning calls empty; the whole warning where it says something else."""
    return warning.partition(" is empty")[0].rpartition(": ")[2]


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
        names = step_template_problems(step, earlier, info)
        found = [FieldError(name, message) for name, message in names]
    return fields_of(found, draft.typed)


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
        next((part.name for part in form.parts if base_of(error.field) in part.inputs), "general")
        for error in errors
    )


def pieces(text: str) -> list[tuple[str, bool]]:
    """`text` cut where a placeholder such as `‹steps.create.id›` stands, with whether each piece is one."""
    return [(one, one.startswith("‹")) for one in _PLACEHOLDER.split(text) if one]
