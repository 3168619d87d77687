"""Slack by its SCIM API 2.0: members found, made, reactivated, brought up to date and deactivated.

docs.slack.dev/reference/scim-api and docs.slack.dev/reference/scim-api/rate-limits, read 2026-12-01. Slack makes its
own user name of an address, filters by userName and email alone, takes the display name when a member is made and not
later, and gives its errors as one word in `detail`.
"""

from __future__ import annotations

from typing import Any

from app.catalogue import scim
from app.catalogue.kinds import (
    OR_NOTHING,
    Step,
    SystemTemplate,
    TemplateQuestion,
    http,
    if_empty,
    if_known,
    none_at,
)


def by_email(key: str, name: str, connection_id: str, **more: Any) -> Step:
    """Find the member who has this address among theirs."""
    others = none_at('$.Resources[?!@.emails[?@.value == "{{ grantee.email }}"]].id')
    wanted = 'email eq "{{ grantee.email | scim }}"'
    return scim.find(key, name, connection_id, wanted, expect=[others], **more)


def lookup(connection_id: str) -> Step:
    return by_email("lookup", "Find the member", connection_id, only_if=if_empty("steps.known.id"))


def grant(connection_id: str) -> list[Step]:
    return [
        scim.known(connection_id),
        lookup(connection_id),
        scim.create(connection_id, "taken"),
        by_email("taken", "Find who has the address", connection_id, optional=False),
        scim.replace(
            "update",
            "Reactivate and bring up to date",
            connection_id,
            {"active": True, "name": scim.NAME, "emails": scim.EMAILS},
            only_if=if_empty("steps.create.id"),
        ),
    ]


def revoke(connection_id: str) -> list[Step]:
    return [
        scim.known(connection_id),
        lookup(connection_id),
        http(
            "deactivate",
            "Deactivate the member",
            connection_id,
            "DELETE",
            "/Users/{{ account.id }}",
            only_if=if_known("account.id"),
            # The steps before have shown that Slack is there, so whom it does not know is gone.
            success_statuses=OR_NOTHING,
            **scim.SHARED,
        ),
    ]


TEMPLATE = SystemTemplate(
    key="slack",
    name="Slack",
    vendor="Slack",
    summary="Finds or creates the member, keeps name and address up to date, and deactivates on revoke.",
    needs="A plan with SCIM (Business+ or Enterprise); in an Enterprise organisation the app is installed on the "
    "organisation. Everybody has a name. Owners and bots cannot be changed this way.",
    credential="The OAuth token of an owner or administrator, with the scope admin.",
    documented_at="docs.slack.dev/reference/scim-api, read 2026-12-01",
    # Creating and updating users: 180 a minute each, for all apps of the organisation together.
    config={"auth": "bearer", "health_path": "/ServiceProviderConfig", "requests_per_second": 2},
    questions=(
        TemplateQuestion(
            "base_url", "Base URL", "The same for every workspace.", "https://api.slack.com/scim/v2"
        ),
    ),
    grant=grant,
    revoke=revoke,
)
