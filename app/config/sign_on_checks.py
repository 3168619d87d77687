"""What the settings of single sign-on must look like."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.config.checks import SettingsError, shown

ROLE_KINDS = ("admin", "member", "viewer")

_GROUP_ROLE = re.compile(rf"(.*?)=\s*({'|'.join(ROLE_KINDS)})\s*(?:,|$)", re.IGNORECASE)
# What an issuer may not hold: it is a plain address that others are made from (OpenID Connect Discovery §3).
_NOT_IN_AN_ISSUER = re.compile(r"[^\x21-\x7e]|[?#@\\%]|/\.\.?(/|$)")


def issuer(name: str, value: str) -> str:
    """A provider's issuer: without user name, query and fragment, in plain ASCII."""
    if _NOT_IN_AN_ISSUER.search(value):
        raise SettingsError(
            name,
            "is no issuer; it should be like https://id.example.org/realms/staff, as the provider says it",
        )
    return value


def group_roles(name: str, text: str) -> tuple[tuple[str, str], ...]:
    """Pairs of a group and a role, as `Name of the group=role`, comma separated; the name may hold both signs."""
    should = f"it should be like Identity admins=admin, Staff=member, with {', '.join(ROLE_KINDS)} as roles"
    found: dict[str, str] = {}
    rest = text.strip()
    while rest:
        entry = _GROUP_ROLE.match(rest)
        if entry is None:
            raise SettingsError(name, f"{shown(rest)} names no group and role; {should}")
        group, role = entry[1].strip(), entry[2].lower()
        if not group or group in found:
            raise SettingsError(name, f"{shown(group)} stands twice or is empty; {should}")
        found[group] = role
        rest = rest[entry.end() :].lstrip()
    return tuple(found.items())


def single_sign_on(triple: Mapping[str, str], more: Mapping[str, object]) -> None:
    """What single sign-on needs is there together or not at all; `more` means nothing without it."""
    missing = [name for name, value in triple.items() if not value]
    if missing and len(missing) < len(triple):
        raise SettingsError(missing[0], "is not set; single sign-on needs " + ", ".join(triple) + " together")
    unused = next((name for name, value in more.items() if value), None)
    if missing and unused:
        raise SettingsError(unused, "means nothing without single sign-on; it needs " + ", ".join(triple))
