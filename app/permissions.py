"""May they? The one function that decides every right, for page, API and worker alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.errors import NotAllowed

# Permission -> what it allows, in plain words.
PERMISSIONS: dict[str, str] = {
    "workflow:read": "See workflows, connections, runs and tasks",
    "workflow:manage": "Build workflows and connections, enable them",
    "workflow:run": "Retry, replay and cancel runs, and start missing ones",
    "workflow:task": "Complete tasks that are assigned to them",
    "workflow:secrets": "Enter, replace and remove credentials, and change where they are sent",
    "grant:read": "See applications, people and who has access to what",
    "grant:write": "Grant and revoke access",
    "application:write": "Add and change applications",
    "user:manage": "Add, change and deactivate people, roles and groups",
    "audit:read": "Read the audit trail",
    "settings:manage": "See system health and manage API tokens and settings",
}
ALL_PERMISSIONS = frozenset(PERMISSIONS)
# The same in the order and under the headings of the page Roles.
AREAS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Access", ("grant:read", "grant:write", "application:write")),
    ("Automation", ("workflow:read", "workflow:manage", "workflow:secrets", "workflow:run", "workflow:task")),
    ("Administration", ("user:manage", "audit:read", "settings:manage")),
)
# Whoever holds one of these can get at more: by sending data elsewhere, or by making accounts and tokens.
ADMIN_LEVEL = frozenset({"workflow:manage", "workflow:secrets", "user:manage", "settings:manage"})
DEFAULT_ROLES: dict[str, tuple[str, frozenset[str]]] = {
    "admin": ("Admin", ALL_PERMISSIONS),
    "member": ("Member", frozenset({"grant:read"})),
    "viewer": ("Viewer", frozenset()),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever acts: a signed-in person, an API token, or the system itself.

    `name` is what records and timelines show.  `user_id` is the person, also behind no token.  `source` is where
    the act came from (an address, `cli`).
    """

    kind: str
    name: str
    permissions: frozenset[str]
    user_id: int | None = None
    token_id: int | None = None
    source: str = ""


SYSTEM = Actor("system", "Access Automation", ALL_PERMISSIONS)
OPERATOR = Actor("system", "Command line", ALL_PERMISSIONS, source="cli")


def effective_permissions(role_kind: str, stored: Iterable[str]) -> frozenset[str]:
    """A role's rights: the Admin's are always all, whatever is stored; unknown names count for nothing."""
    return ALL_PERMISSIONS if role_kind == "admin" else ALL_PERMISSIONS & frozenset(stored)


def may(actor: Actor, permission: str) -> bool:
    """Whether `actor` holds `permission`; raises KeyError for a name that is no permission."""
    if permission not in PERMISSIONS:
        raise KeyError(permission)
    return permission in actor.permissions


def require(actor: Actor, *permissions: str) -> None:
    """Raise NotAllowed, naming the permissions, unless `actor` holds one of them."""
    if not any(may(actor, one) for one in permissions):
        names = " or ".join(permissions)
        raise NotAllowed(f"This needs the permission {names}. Ask an administrator.", permissions[0])
