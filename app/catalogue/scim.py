"""SCIM 2.0: accounts found, made, brought up to date, switched on and off.

RFC 7643 (§3.1 externalId, §4.1 users) and RFC 7644 (§3.3 create, §3.4.2 filters, §3.5.2 PATCH, §3.12 errors), read
2026-12-01; that displayName is asked for: docs.aws.amazon.com/singlesignon/latest/developerguide/createuser.html.
"""

from __future__ import annotations

from typing import Any

from app.catalogue.kinds import (
    OR_NOTHING,
    Step,
    SystemTemplate,
    TemplateQuestion,
    go_to,
    http,
    if_empty,
    if_known,
    look,
    none_at,
    the_account,
)

CONTENT = {"Content-Type": "application/scim+json", "Accept": "application/scim+json"}
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SHARED = {"headers": CONTENT, "failure_reason": "$.detail"}
NAME = {
    "givenName": "{{ grantee.first_name | omit_empty }}",
    "familyName": "{{ grantee.last_name | omit_empty }}",
}
DISPLAY_NAME = '{{ grantee.first_name | default("") }} {{ grantee.last_name | default("") }}'
EMAILS = [{"value": "{{ grantee.email }}", "type": "work", "primary": True}]
# What the client calls the person (RFC 7643 §3.1): always there, never the same for two, never another.
OURS = "{{ grantee.id }}"
# A service that ignores filters lists more than one, or one that was not asked for.
ONE = {"path": "$.totalResults", "is": "less", "than": 2}


def known(connection_id: str) -> Step:
    """Whether the account whose id is known is still there."""
    return look(
        "known",
        "Look at the known account",
        connection_id,
        "/Users/{{ account.id }}",
        only_if=if_known("account.id"),
        capture={"id": the_account("$.id")},
        on_status={"404": go_to("lookup")},
        **SHARED,
    )


def find(key: str, name: str, connection_id: str, wanted: str, **more: Any) -> Step:
    """The one account that meets a filter."""
    more["expect"] = [ONE, *more.get("expect", [])]
    capture = {"id": the_account("$.Resources[*].id", optional=more.pop("optional", True))}
    return look(
        key, name, connection_id, "/Users", query={"filter": wanted}, capture=capture, **SHARED, **more
    )


def by_our_id(connection_id: str, following: str) -> Step:
    """Find the account that was made for this person, whatever it is called by now."""
    return find(
        "lookup",
        "Find the account by our id",
        connection_id,
        'externalId eq "{{ grantee.id | scim }}"',
        only_if=if_empty("steps.known.id"),
        expect=[none_at(f'$.Resources[?@.externalId != "{OURS}"].id')],
        # Not every service can filter by it; the next step asks in another way.
        on_status={"400": go_to(following)},
    )


def by_name(connection_id: str, **more: Any) -> Step:
    """Find the account of this name, whoever made it, but none that was made for another person."""
    others = f'$.Resources[?@.externalId && @.externalId != "" && @.externalId != "{OURS}"].id'
    more["expect"] = [none_at(others), *more.get("expect", [])]
    return find(
        "by_name",
        "Find the account by its name",
        connection_id,
        'userName eq "{{ grantee.email | scim }}"',
        **more,
    )


def create(connection_id: str, taken: str, **attributes: Any) -> Step:
    """Make the account; 409 says that its name is taken (RFC 7644 §3.3), as after a try whose answer was lost."""
    body = {
        "schemas": [USER],
        "userName": "{{ grantee.email }}",
        "active": True,
        "name": NAME,
        "emails": EMAILS,
    }
    return http(
        "create",
        "Create the account",
        connection_id,
        "POST",
        "/Users",
        only_if=if_empty("steps.known.id", "steps.lookup.id"),
        body=body | attributes,
        capture={"id": "$.id"},
        idempotent=True,
        on_status={"409": go_to(taken)},
        on_success=go_to("update"),
        **SHARED,
    )


def replace(key: str, name: str, connection_id: str, values: dict[str, Any], **more: Any) -> Step:
    """Set attributes of the account; setting what is set already changes nothing."""
    operations = [{"op": "replace", "path": path, "value": value} for path, value in values.items()]
    return http(
        key,
        name,
        connection_id,
        "PATCH",
        "/Users/{{ account.id }}",
        body={"schemas": [PATCH], "Operations": operations},
        idempotent=True,
        **SHARED,
        **more,
    )


def check(name: str, connection_id: str, active: bool, **more: Any) -> Step:
    """See for ourselves: an answer to PATCH may be empty, and a service may take what it then ignores."""
    state = {"path": "$.active", "is": "not_equal", "than": not active}
    return look("check", name, connection_id, "/Users/{{ account.id }}", expect=[state], **SHARED, **more)


def grant(connection_id: str) -> list[Step]:
    person = {"externalId": OURS, "displayName": DISPLAY_NAME}
    update = {"userName": "{{ grantee.email }}", "name": NAME, "emails": EMAILS, "active": True}
    return [
        known(connection_id),
        by_our_id(connection_id, "create"),
        create(connection_id, "by_name", **person),
        by_name(connection_id, optional=False),
        replace(
            "update",
            "Bring it up to date",
            connection_id,
            person | update,
            only_if=if_empty("steps.create.id"),
        ),
        check("Make sure that it is active", connection_id, True),
    ]


def revoke(connection_id: str) -> list[Step]:
    # The steps before have shown that the service is there, so what it does not know is gone.
    is_known = {"only_if": if_known("account.id"), "success_statuses": OR_NOTHING}
    named = none_at('$.Resources[?@.userName != "{{ grantee.email }}"].id')
    return [
        known(connection_id),
        by_our_id(connection_id, "by_name"),
        by_name(connection_id, only_if=if_empty("steps.known.id", "steps.lookup.id"), expect=[named]),
        replace(
            "deactivate",
            "Deactivate the account",
            connection_id,
            {"active": False},
            **is_known,
        ),
        check("Make sure that it is not active", connection_id, False, **is_known),
    ]


TEMPLATE = SystemTemplate(
    key="scim",
    name="SCIM 2.0",
    vendor="Any SCIM 2.0 service",
    summary="Finds the account or creates it, brings it up to date, and deactivates it on revoke.",
    needs="The service speaks SCIM 2.0, filters users by userName, best by externalId too, and can PATCH. User names "
    "are email addresses. Most services want a first and a last name.",
    credential="The bearer token that the service gave out for provisioning.",
    documented_at="RFC 7643 and RFC 7644, read 2026-12-01",
    config={"auth": "bearer", "health_path": "/ServiceProviderConfig", "headers": {}},
    questions=(
        TemplateQuestion(
            "base_url", "Base URL", "Up to and without /Users, such as https://example.com/scim/v2."
        ),
    ),
    grant=grant,
    revoke=revoke,
)
