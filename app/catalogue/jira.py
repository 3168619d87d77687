"""Jira Cloud by its REST API 3: users added to the site and removed from it.

developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-users, api-group-user-search and /rate-limiting, read
2026-12-01. Atlassian keeps creating users "for legacy compatibility"; the account itself is the person's own, and its
address may be hidden.
"""

from __future__ import annotations

from typing import Any

from app.catalogue.kinds import (
    ASKS_FOR_JSON,
    OR_NOTHING,
    Step,
    SystemTemplate,
    TemplateQuestion,
    go_to,
    here,
    http,
    if_empty,
    if_known,
    in_passing,
    look,
    none_at,
    the_account,
)

USER = "/rest/api/3/user"
KNOWN = {"accountId": "{{ account.id }}"}
REASON = {"failure_reason": "$.errorMessages[*]"}


def add(key: str, name: str, connection_id: str, email: str, **more: Any) -> Step:
    """Jira answers 201 for somebody who has access already, so a repeat changes nothing."""
    body = {"emailAddress": email, "products": ["jira-software"]}
    return http(key, name, connection_id, "POST", USER, body=body, idempotent=True, **more, **REASON)


def grant(connection_id: str) -> list[Step]:
    return [
        look(
            "known",
            "Look at the known account",
            connection_id,
            USER,
            query=KNOWN,
            only_if=if_known("account.id"),
            on_status={"404": go_to("add")},
            capture={
                "id": the_account("$.accountId"),
                "email": in_passing("$.emailAddress") | {"optional": True},
            },
            **REASON,
        ),
        add(
            "again",
            "Give it access again",
            connection_id,
            # The address that Atlassian knows: by another, another account would be invited.
            "{{ steps.known.email }}",
            only_if=if_known("steps.known.email"),
            capture={"id": the_account("$.accountId")},
        ),
        add(
            "add",
            "Add to Jira",
            connection_id,
            "{{ grantee.email }}",
            only_if=if_empty("steps.known.id"),
            capture={"id": "$.accountId"},
        ),
        look(
            "check",
            "Make sure that it has access",
            connection_id,
            USER,
            query=KNOWN,
            expect=[{"path": "$.active", "is": "equal", "than": True}],
            **REASON,
        ),
    ]


def revoke(connection_id: str) -> list[Step]:
    return [
        here("Make sure that it is the site", connection_id, "/rest/api/3/myself", "$.accountId", **REASON),
        look(
            "lookup",
            "Find the account",
            connection_id,
            f"{USER}/search",
            query={"query": "{{ grantee.email }}"},
            only_if=if_empty("account.id"),
            # Whose address is hidden, or spelt in other letters, may be this person: nobody can tell.
            expect=[none_at('$[?@.emailAddress != "{{ grantee.email }}"].accountId')],
            capture={
                "id": the_account('$[?@.emailAddress == "{{ grantee.email }}"].accountId', optional=True)
            },
            **REASON,
        ),
        http(
            "remove",
            "Remove from Jira",
            connection_id,
            "DELETE",
            USER,
            query=KNOWN,
            only_if=if_known("account.id"),
            success_statuses=OR_NOTHING,
            **REASON,
        ),
    ]


TEMPLATE = SystemTemplate(
    key="jira",
    name="Jira Cloud",
    vendor="Atlassian",
    summary="Adds the person to the site with Jira access, and removes the user on revoke.",
    needs="The API token is that of an organisation admin who is also in the group site-admins. Access is to Jira "
    "Software: for another product, put its key into both steps that add (jira-servicedesk, jira-core, "
    "jira-product-discovery). The Atlassian account itself stays the person's own.",
    credential="An API token of that administrator.",
    documented_at="developer.atlassian.com/cloud/jira/platform/rest/v3, read 2026-12-01",
    config={
        "auth": "basic",
        "headers": ASKS_FOR_JSON,
        "health_path": "/rest/api/3/myself",
        "requests_per_second": 5,
    },
    questions=(
        TemplateQuestion(
            "base_url", "Base URL", "The address of the site.", "https://your-site.atlassian.net"
        ),
        TemplateQuestion("username", "Administrator's email", "Whose API token will be the credential."),
    ),
    grant=grant,
    revoke=revoke,
)
