"""What a version that was saved before says that means less, or more, than its author could know then.

Two steps kept a name without saying that it is one account, one entry of a list was taken by its place, and an empty
value was sent inside a longer text.  Such versions go on; their runs fail where it would have to be guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from app.domain.json_reader import Problem
from app.domain.mapping.templates import MappingError, compile_template
from app.domain.steps.scope import ScopeInfo
from app.domain.workflows.checks import check_definition
from app.domain.workflows.definition import Definition

# Values of a person or a grant that may be missing.
MAY_BE_EMPTY = frozenset(
    {
        "grantee.first_name",
        "grantee.last_name",
        "grantee.username",
        "grantee.employee_id",
        "grant.access_level",
        "grant.expires_at",
    }
)
_EXCUSED = frozenset({"default", "omit_empty"})


def doubts(definition: Definition, info: ScopeInfo) -> list[Problem]:
    """What its author should look at again, step by step, in sentences."""
    found = check_definition(definition, replace(info, saved_before=True))
    kept = [one for one in found if ".capture." in one.field]
    return [*kept, *_empty_values(definition)]


def _empty_values(definition: Definition) -> Iterator[Problem]:
    for position, step in enumerate(definition.steps):
        for name, text in step.texts():
            if step.calls_out and name.startswith(("query.", "body.")):
                for token in dict.fromkeys(_refused_when_empty(name, text)):
                    yield Problem(
                        f"steps[{position}].{name}",
                        f'Where {token} is empty nothing is sent: add | default("") if it may be empty there.',
                        "warning",
                        step.key,
                    )


def _refused_when_empty(name: str, text: str) -> Iterator[str]:
    try:
        template = compile_template(text)
    except MappingError:
        return
    if template.only is not None and name.startswith("body."):
        return
    for token in template.tokens:
        if token.name in MAY_BE_EMPTY and not any(call.name in _EXCUSED for call in token.filters):
            yield token.name
