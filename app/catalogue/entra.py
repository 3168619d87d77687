"""Microsoft Entra ID by Microsoft Graph 1.0: accounts found, enabled, disabled and signed out.

learn.microsoft.com/graph/api/user-get, user-list, user-update and user-revokesigninsessions,
/graph/permissions-reference and /graph/throttling, read 2026-12-01.
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
    look,
    the_account,
)

REASON = {"failure_reason": "$.error.message"}
FEW = {"$top": 1, "$select": "id"}
IS_PRINCIPAL = {"value": "{{ grantee.username }}", "is": "contains", "than": "@"}


def find(key: str, name: str, connection_id: str, principal: str, **more: Any) -> Step:
    """Find the account by a principal name, which Graph compares without regard to case."""
    return look(
        key,
        name,
        connection_id,
        f"/users/{{{{ {principal} }}}}",
        query={"$select": "id"},
        capture={"id": the_account("$.id")},
        **REASON,
        **more,
    )


def by_username(connection_id: str) -> Step:
    return find(
        "by_username",
        "Find the account by the username",
        connection_id,
        "grantee.username",
        only_if=[*if_empty("account.id"), IS_PRINCIPAL],
        on_status={"404": go_to("by_email")},
    )


def by_email(connection_id: str, **more: Any) -> Step:
    only_if = if_empty("account.id")
    return find(
        "by_email",
        "Find the account by the email address",
        connection_id,
        "grantee.email",
        only_if=only_if,
        **more,
    )


def switch(key: str, name: str, connection_id: str, enabled: bool, **more: Any) -> Step:
    return http(
        key,
        name,
        connection_id,
        "PATCH",
        "/users/{{ account.id }}",
        body={"accountEnabled": enabled},
        idempotent=True,
        **REASON,
        **more,
    )


def grant(connection_id: str) -> list[Step]:
    return [
        by_username(connection_id),
        by_email(connection_id),
        switch("enable", "Enable the account", connection_id, True),
    ]


def revoke(connection_id: str) -> list[Step]:
    is_known = {"only_if": if_known("account.id"), "success_statuses": OR_NOTHING}
    return [
        here(
            "Make sure that it is Microsoft Graph",
            connection_id,
            "/users",
            "$['@odata.context']",
            query=FEW,
            **REASON,
        ),
        by_username(connection_id),
        by_email(connection_id, on_status={"404": go_to("disable")}),
        switch("disable", "Disable the account", connection_id, False, **is_known),
        http(
            "sign_out",
            "End every session",
            connection_id,
            "POST",
            "/users/{{ account.id }}/revokeSignInSessions",
            idempotent=True,
            **is_known,
            **REASON,
        ),
    ]


TEMPLATE = SystemTemplate(
    key="entra",
    name="Microsoft Entra ID",
    vendor="Microsoft",
    summary="Enables an account that is in the directory; disables it and ends its sessions on revoke.",
    needs="Accounts exist, such as from HR; the person's email address is their user principal name, or their "
    "username here is. "
    "The app registration has these application permissions, with admin consent: User.Read.All and "
    "User.EnableDisableAccount.All for the switch, User.RevokeSessions.All to end sessions; User.ReadWrite.All "
    "stands for the first two. Accounts with an administrator's role need such a role for the app as well. "
    "The sessions of guests are their own organisation's.",
    credential="A client secret of the app registration.",
    documented_at="learn.microsoft.com/graph/api/user-update, read 2026-12-01",
    config={
        "auth": "oauth2_client_credentials",
        "client_auth": "post",
        "scope": "https://graph.microsoft.com/.default",
        "headers": ASKS_FOR_JSON,
        "health_path": "/users?$top=1",
        "requests_per_second": 10,
    },
    questions=(
        TemplateQuestion(
            "base_url", "Base URL", "Another one in national clouds.", "https://graph.microsoft.com/v1.0"
        ),
        TemplateQuestion(
            "token_url",
            "Token URL",
            "Put the directory (tenant) id in its place.",
            "https://login.microsoftonline.com/your-tenant/oauth2/v2.0/token",
        ),
        TemplateQuestion("client_id", "Client id", "The application (client) id of the app registration."),
    ),
    grant=grant,
    revoke=revoke,
)
