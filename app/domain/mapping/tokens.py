"""Which tokens exist, and what to say about one that does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property

from app.domain.mapping.templates import MappingError, Template, compile_template

KNOWN_TOKENS = (
    "event.id",
    "event.trigger",
    "event.occurred_at",
    "grantee.id",
    "grantee.email",
    "grantee.first_name",
    "grantee.last_name",
    "grantee.username",
    "grantee.employee_id",
    "application.id",
    "application.name",
    "grant.id",
    "grant.access_level",
    "grant.granted_at",
    "grant.expires_at",
)
KEPT = "grant.kept."
_MAX_PROBLEMS = 10


@dataclass(frozen=True)
class Scope:
    """What a template may name besides KNOWN_TOKENS.

    `outputs` are the values of earlier steps, key -> names; `account_names` those known for the application;
    `captured` those that earlier steps add to the account; `kept_names` those that some workflow of the
    application keeps with a grant; `too_late` the tokens of steps that cannot have run by then.
    """

    outputs: Mapping[str, Iterable[str]] = field(default_factory=dict)
    account_names: frozenset[str] = frozenset()
    captured: frozenset[str] = frozenset()
    kept_names: frozenset[str] = frozenset()
    too_late: frozenset[str] = frozenset()

    @cached_property
    def available(self) -> tuple[str, ...]:
        """Each token that may be used here, for checking and for the picker."""
        steps = [f"steps.{key}.{name}" for key, names in self.outputs.items() for name in names]
        return (
            *KNOWN_TOKENS,
            *(f"{KEPT}{name}" for name in sorted(self.kept_names)),
            *steps,
            *(f"account.{name}" for name in sorted(self.account_names)),
        )

    @cached_property
    def _available(self) -> frozenset[str]:
        return frozenset(self.available)

    def holds(self, name: str) -> bool:
        """True when the token exists. Any account.<name> and grant.kept.<name> does: it may be captured later."""
        return name in self._available or is_account(name) or is_kept(name)


def is_account(name: str) -> bool:
    root, _, rest = name.partition(".")
    return root == "account" and bool(rest) and "." not in rest


def is_kept(name: str) -> bool:
    return name.startswith(KEPT) and "." not in name.removeprefix(KEPT)


def check_template(text: str, scope: Scope) -> list[str]:
    """What is wrong with one template text, in sentences: bad syntax, or tokens that do not exist here.

    At most ten are listed, each unknown token once.
    """
    try:
        template = compile_template(text)
    except MappingError as error:
        return [error.message]
    problems = ["“}}” closes nothing: open the token with {{."] if _closes_nothing(template) else []
    unknown = dict.fromkeys(token.name for token in template.tokens if not scope.holds(token.name))
    return problems + [_not_available(name, scope) for name in list(unknown)[:_MAX_PROBLEMS]]


def unknown_account_names(text: str, scope: Scope) -> list[str]:
    """The account.<name> tokens of a well-formed template that nothing is known to capture by then."""
    names = dict.fromkeys(token.name for token in compile_template(text).tokens if is_account(token.name))
    known = scope.account_names | scope.captured
    return [name for name in names if name.removeprefix("account.") not in known]


def unknown_kept_names(text: str, scope: Scope) -> list[str]:
    """The grant.kept.<name> tokens of a well-formed template that no workflow of the application keeps."""
    names = dict.fromkeys(token.name for token in compile_template(text).tokens if is_kept(token.name))
    return [name for name in names if name.removeprefix(KEPT) not in scope.kept_names]


def _not_available(name: str, scope: Scope) -> str:
    if name in scope.too_late:
        return f"{name} is not available here: its step cannot have run before this one."
    start = f"{name[:100]} is not available."
    near = _nearest(name, scope)
    if near:
        return f"{start} Did you mean {near}?"
    root, _, rest = name.partition(".")
    key = rest.partition(".")[0]
    if root == "steps" and key in scope.outputs:
        return f"{start} The step {key} keeps {', '.join(scope.outputs[key]) or 'no values'}."
    siblings = [one for one in scope.available if one.partition(".")[0] == root]
    return f"{start} Choose from {', '.join(siblings[:8])}." if siblings else start


def _nearest(name: str, scope: Scope) -> str | None:
    if len(name) > 100:
        return None
    root, _, rest = name.partition(".")
    key, _, last = rest.partition(".")
    if root == "steps" and key in scope.outputs:
        near = get_close_matches(last, list(scope.outputs[key]), n=1)
        return f"steps.{key}.{near[0]}" if near else None
    if root == "steps" and last in scope.account_names:
        # A revoke that names the step of the grant workflow which made the account.
        return f"account.{last}"
    near = get_close_matches(name.lower(), scope.available, n=1)
    return near[0] if near else None


def _closes_nothing(template: Template) -> bool:
    """True when a }} was left over; JSON written inside a text may end in two braces of its own."""
    depth = 0
    for part in template.parts:
        if not isinstance(part, str):
            continue
        for at, character in enumerate(part):
            if character == "{":
                depth += 1
            elif character == "}":
                if depth < 2 and part.startswith("}}", at):
                    return True
                depth = max(0, depth - 1)
    return False
