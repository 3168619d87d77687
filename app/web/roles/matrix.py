"""The permission matrix: rows of plain words by area, a column for each role, and what stands against a change."""

from __future__ import annotations

from dataclasses import dataclass

from app.models import Role
from app.permissions import PERMISSIONS, Actor, effective_permissions

AREAS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Access", ("grant:read", "grant:write", "application:write")),
    ("Automation", ("workflow:read", "workflow:manage", "workflow:secrets", "workflow:run", "workflow:task")),
    ("Administration", ("user:manage", "audit:read", "settings:manage")),
)
# Whoever holds one of these can get at more: by sending data elsewhere, or by making accounts and tokens.
ADMIN_LEVEL = frozenset({"workflow:manage", "workflow:secrets", "user:manage", "settings:manage"})


@dataclass(frozen=True, slots=True)
class Column:
    """A role. `locked` is why nobody, or not this reader, may change it; empty when they may."""

    id: int
    kind: str
    name: str
    people: int
    held: frozenset[str]
    locked: str


@dataclass(frozen=True, slots=True)
class Row:
    """A permission in words."""

    name: str
    words: str
    admin_level: bool
    lacked: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What one role gains and loses."""

    role: Role
    people: int
    gains: list[Row]
    loses: list[Row]

    @property
    def delegates(self) -> list[Row]:
        """The gains that let people reach further than they say."""
        return [row for row in self.gains if row.admin_level]


def column(role: Role, *, own_role: str, people: int) -> Column:
    """The role as the reader meets it; `own_role` is the kind of theirs, `people` its active holders."""
    locked = ""
    if role.kind == "admin":
        locked = (
            "Administrators always have every permission, so that nobody can be locked out of everything."
        )
    elif role.kind == own_role:
        locked = "This is your own role. Another administrator can change it."
    held = effective_permissions(role.kind, role.permissions)
    return Column(role.id, role.kind, role.name, people, held, locked)


def areas(actor: Actor) -> list[tuple[str, list[Row]]]:
    """Every permission, by area."""
    return [(title, [row(name, actor) for name in names]) for title, names in AREAS]


def row(name: str, actor: Actor) -> Row:
    """One permission as this reader meets it."""
    return Row(name, PERMISSIONS[name], name in ADMIN_LEVEL, name not in actor.permissions)


def change_of(role: Role, wanted: list[str], actor: Actor, *, people: int) -> Change | None:
    """The difference between what the role holds and what it is to hold; None when there is none."""
    held = effective_permissions(role.kind, role.permissions)
    ordered = [name for _title, names in AREAS for name in names]
    gains = [row(name, actor) for name in ordered if name in wanted and name not in held]
    loses = [row(name, actor) for name in ordered if name in held and name not in wanted]
    return Change(role, people, gains, loses) if gains or loses else None
