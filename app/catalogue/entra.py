"""Microsoft Entra ID by Microsoft Graph 1.0: accounts found, enabled, disabled and signed out."""

from __future__ import annotations

from typing import Any

from app.catalogue.kinds import Step, SystemTemplate, TemplateQuestion, http


def _enabled(key: str, name: str, connection_id: str, path: str, enabled: bool, **more: Any) -> Step:
    return http(
        key, name, connection_id, "PATCH", path, body={"accountEnabled": enabled}, idempotent=True, **more
    )


def grant(connection_id: str) -> list[Step]:
    return [
        http(
            "lookup",
            "Find the account",
            connection_id,
            "GET",
            "/users/{{ grantee.email | lower }}",
            query={"$select": "id,accountEnabled"},
            capture={"id": "$.id"},
        ),
        _enabled("enable", "Enable the account", connection_id, "/users/{{ steps.lookup.id }}", True),
    ]


def revoke(connection_id: str) -> list[Step]:
    return [
        _enabled(
            "disable",
            "Disable the account",
            connection_id,
            "/users/{{ account.id }}",
            False,
            success_statuses=["200-299", 404],
        ),
        http(
            "sign_out",
            "End every session",
            connection_id,
            "POST",
            "/users/{{ account.id }}/revokeSignInSessions",
            success_statuses=["200-299", 404],
            idempotent=True,
        ),
    ]


TEMPLATE = SystemTemplate(
    key="entra",
    name="Microsoft Entra ID",
    vendor="Microsoft",
    summary="Enables an account that is in the directory; disables it and ends its sessions on revoke.",
    needs="Accounts exist, such as from HR, and the user principal name is the person's email address. "
    "The app registration has the application permission User.ReadWrite.All with admin consent.",
    credential="A client secret of the app registration.",
    documented_at="learn.microsoft.com/graph/api/user-update",
    config={
        "auth": "oauth2_client_credentials",
        "client_auth": "post",
        "scope": "https://graph.microsoft.com/.default",
        "health_path": "/users?$top=1",
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
