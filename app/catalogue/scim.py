"""SCIM 2.0 (RFC 7643, RFC 7644): accounts made, found, switched on and off."""

from __future__ import annotations

from typing import Any

from app.catalogue.kinds import Step, SystemTemplate, TemplateQuestion, http

CONTENT = {"Content-Type": "application/scim+json", "Accept": "application/scim+json"}
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
EMAIL = "{{ grantee.email | lower }}"


def create(connection_id: str, **extra: Any) -> Step:
    """Make the account; 409 says that there is one already (RFC 7644 §3.3)."""
    body = {
        "schemas": [USER],
        "userName": EMAIL,
        "active": True,
        "name": {"givenName": "{{ grantee.first_name }}", "familyName": "{{ grantee.last_name }}"},
        "emails": [{"value": EMAIL, "primary": True}],
    } | extra
    return http(
        "create",
        "Create the account",
        connection_id,
        "POST",
        "/Users",
        headers=CONTENT,
        body=body,
        success_statuses=["200-299", 409],
        # A repeat meets the account that the first try made, and is told so by the 409.
        idempotent=True,
    )


def lookup(connection_id: str, attribute: str = "userName") -> Step:
    """Find the account's id, whoever made it."""
    return http(
        "lookup",
        "Find its id",
        connection_id,
        "GET",
        "/Users",
        headers=CONTENT,
        query={"filter": attribute + ' eq "{{ grantee.email | lower | scim }}"'},
        capture={"id": "$.Resources[*].id"},
    )


def set_active(key: str, name: str, connection_id: str, path: str, active: bool, **more: Any) -> Step:
    """Switch an account on or off; setting what is set already changes nothing."""
    body = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": active}]}
    return http(key, name, connection_id, "PATCH", path, headers=CONTENT, body=body, idempotent=True, **more)


def grant(connection_id: str) -> list[Step]:
    return [
        # What the client calls the person (RFC 7643 §3.1): always there, and never the same for two.
        create(connection_id, externalId="{{ grantee.id }}"),
        lookup(connection_id),
        set_active(
            "activate", "Make sure that it is active", connection_id, "/Users/{{ steps.lookup.id }}", True
        ),
    ]


def revoke(connection_id: str) -> list[Step]:
    return [
        set_active(
            "deactivate",
            "Deactivate the account",
            connection_id,
            "/Users/{{ account.id }}",
            False,
            # Gone is as good as inactive.
            success_statuses=["200-299", 404],
        )
    ]


TEMPLATE = SystemTemplate(
    key="scim",
    name="SCIM 2.0",
    vendor="Any SCIM 2.0 service",
    summary="Creates the account or finds it, makes sure that it is active, and deactivates it on revoke.",
    needs="The service speaks SCIM 2.0 and can filter users by userName.",
    credential="The bearer token that the service gave out for provisioning.",
    documented_at="RFC 7644",
    config={"auth": "bearer", "health_path": "/ServiceProviderConfig", "headers": {}},
    questions=(
        TemplateQuestion(
            "base_url", "Base URL", "Up to and without /Users, such as https://example.com/scim/v2."
        ),
    ),
    grant=grant,
    revoke=revoke,
)
