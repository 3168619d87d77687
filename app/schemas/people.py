"""People, groups, roles, and the ways in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from app.domain.json_reader import shown
from app.permissions import PERMISSIONS
from app.schemas.base import Input
from app.schemas.kinds import EmailText, Flag, NameText, ShortText, Time, UserId

RoleKind = Literal["admin", "member", "viewer"]
MAX_MEMBERS = 10_000


class UserIn(Input):
    """A new person. Without a role they are a Viewer: a directory entry that may do nothing."""

    email: EmailText
    first_name: ShortText = ""
    last_name: ShortText = ""
    username: ShortText = ""
    employee_id: ShortText = ""
    role: RoleKind = "viewer"
    active: Flag = True


class UserPatch(Input):
    """Changes to a person; fields that are not sent stay. Blank or null clears a name or an id."""

    email: EmailText = ""
    first_name: ShortText = ""
    last_name: ShortText = ""
    username: ShortText = ""
    employee_id: ShortText = ""
    role: RoleKind = "viewer"
    active: Flag = True


class GroupIn(Input):
    """A group, or its new name."""

    name: NameText


class MembersIn(Input):
    """Everybody who is to be in a group; who is not listed leaves it."""

    user_ids: Annotated[list[UserId], Field(max_length=MAX_MEMBERS)]

    @field_validator("user_ids")
    @classmethod
    def _once_each(cls, ids: list[int]) -> list[int]:
        return list(dict.fromkeys(ids))


def _known(names: list[str]) -> list[str]:
    unknown = [name for name in names if name not in PERMISSIONS]
    if unknown:
        raise ValueError(f"There is no permission “{shown(unknown[0])}”.")
    return sorted(set(names))


class RoleIn(Input):
    """The whole permission set of a role."""

    permissions: Annotated[list[ShortText], Field(max_length=100)]

    _check = field_validator("permissions")(_known)


class TokenIn(Input):
    """A new API token."""

    name: NameText
    permissions: Annotated[list[ShortText], Field(min_length=1, max_length=100)]
    expires_at: Time = None

    _check = field_validator("permissions")(_known)
