"""What the demo is made of: people, and two workflows for SCIM 2.0 (RFC 7644), in the API's form."""

from __future__ import annotations

from typing import Any

APPLICATION = {
    "name": "Demo directory",
    "description": "A real SCIM 2.0 server that runs beside this console.",
    "vendor": "scim2-server",
    "category": "Directory",
}
CONNECTION = "SCIM server"

PEOPLE = (
    {"email": "ada@example.org", "first_name": "Ada", "last_name": "Lovelace", "employee_id": "E-1815"},
    {"email": "grace@example.org", "first_name": "Grace", "last_name": "Hopper", "employee_id": "E-1906"},
    {"email": "edsger@example.org", "first_name": "Edsger", "last_name": "Dijkstra", "employee_id": "E-1930"},
    {"email": "barbara@example.org", "first_name": "Barbara", "last_name": "Liskov", "employee_id": "E-1939"},
    {"email": "radia@example.org", "first_name": "Radia", "last_name": "Perlman", "employee_id": "E-1951"},
)

_SCIM = {"Content-Type": "application/scim+json", "Accept": "application/scim+json"}
_RETRY = {"attempts": 4, "backoff": "exponential", "delay_seconds": 1}
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def _set_active(key: str, name: str, path: str, active: bool, **extra: Any) -> dict[str, Any]:
    return {
        "key": key,
        "name": name,
        "type": "http",
        "method": "PATCH",
        "path": path,
        "headers": _SCIM,
        "body": {
            "schemas": [_PATCH],
            "Operations": [{"op": "replace", "path": "active", "value": active}],
        },
        # Setting a value to what it is already changes nothing.
        "idempotent": True,
        "retry": _RETRY,
    } | extra


def grant_steps(connection_id: str) -> list[dict[str, Any]]:
    """Create the account, or accept that it exists; find its id either way; make sure that it is active."""
    return [
        {
            "key": "create",
            "name": "Create the account",
            "type": "http",
            "connection_id": connection_id,
            "method": "POST",
            "path": "/Users",
            "headers": _SCIM,
            "body": {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": "{{ grantee.email | lower }}",
                "externalId": "{{ grantee.employee_id }}",
                "active": True,
                "name": {
                    "givenName": "{{ grantee.first_name }}",
                    "familyName": "{{ grantee.last_name }}",
                },
                "emails": [{"value": "{{ grantee.email | lower }}", "primary": True}],
            },
            # 409: there is such an account already, which is what was wanted.  It also makes a repeat harmless.
            "success_statuses": ["200-299", 409],
            "idempotent": True,
            "retry": _RETRY,
        },
        {
            "key": "lookup",
            "name": "Find its id",
            "type": "http",
            "connection_id": connection_id,
            "method": "GET",
            "path": "/Users",
            "headers": _SCIM,
            "query": {"filter": 'userName eq "{{ grantee.email | lower | scim }}"'},
            "capture": {"id": "$.Resources[*].id"},
            "retry": _RETRY,
        },
        _set_active(
            "activate",
            "Make sure it is active",
            "/Users/{{ steps.lookup.id }}",
            True,
            connection_id=connection_id,
        ),
    ]


def revoke_steps(connection_id: str) -> list[dict[str, Any]]:
    """Deactivate the account that the grant created; one that is gone needs nothing."""
    return [
        _set_active(
            "deactivate",
            "Deactivate the account",
            "/Users/{{ account.id }}",
            False,
            connection_id=connection_id,
            success_statuses=["200-299", 404],
        )
    ]
