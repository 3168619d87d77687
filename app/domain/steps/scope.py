"""What is known around a step: while it is checked, and when it is put into words."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from app.domain.states import Trigger

# A name, and what it is kept with: the account, or the grant alone.
Kept = tuple[str, str]


def _no_problem(source: str) -> str | None:  # noqa: ARG001 - the shape of `capture_problem`
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeInfo:
    """The records around a definition, as plain data.

    `connections` are those of this application, id -> type.  `user_ids` and `group_ids` answer `in` with ids
    as text, for those who can be given a task.  `account_names` are the values that this application's grant
    workflow captures, or that have been captured; `kept_names` those that one of its workflows keeps with the
    grant alone.  `kept_elsewhere` are the names that steps of its other workflows keep, each with whether all of
    them say that it is the same account.  `answers_revoke` says whether a workflow with steps runs on Access
    revoked.  `capture_problem` says what is wrong with a JSONPath, or None.  `saved_before`: its author could not
    say yet that two steps keep one account, so that this is no error.
    """

    connections: Mapping[str, str] = field(default_factory=dict)
    user_ids: Container[str] = ()
    group_ids: Container[str] = ()
    account_names: frozenset[str] = frozenset()
    kept_names: frozenset[str] = frozenset()
    trigger: Trigger | None = None
    answers_revoke: bool = True
    kept_elsewhere: Mapping[Kept, bool] = field(default_factory=dict)
    saved_before: bool = False
    capture_problem: Callable[[str], str | None] = _no_problem


class Notes(Protocol):
    """Where the checks of one step note what they find: errors refuse it, warnings do not."""

    def add(self, name: str, message: str) -> None: ...

    def warn(self, name: str, message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Names:
    """What the records are called that steps name by id. One that is not in it is called by its id."""

    connections: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)


NO_NAMES = Names()
