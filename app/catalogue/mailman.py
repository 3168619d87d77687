"""GNU Mailman 3 by its REST API 3.1: list members subscribed and unsubscribed."""

from __future__ import annotations

from app.catalogue.kinds import Step, SystemTemplate, TemplateQuestion, http

EMAIL = "{{ grantee.email | lower }}"


def grant(connection_id: str) -> list[Step]:
    return [
        http(
            "subscribe",
            "Subscribe to the list",
            connection_id,
            "POST",
            "/members",
            body={
                "list_id": "{{ grant.access_level }}",
                "subscriber": EMAIL,
                "display_name": "{{ grantee.first_name }} {{ grantee.last_name }}",
                "pre_verified": "true",
                "pre_confirmed": "true",
                "pre_approved": "true",
            },
            body_format="form",
            # 409: already a member, which is what was wanted.
            success_statuses=["200-299", 409],
            idempotent=True,
        ),
        http(
            "lookup",
            "Find the membership",
            connection_id,
            "GET",
            "/members/find",
            query={"list_id": "{{ grant.access_level }}", "subscriber": EMAIL, "role": "member"},
            capture={"member_id": "$.entries[*].member_id"},
        ),
    ]


def revoke(connection_id: str) -> list[Step]:
    return [
        http(
            "unsubscribe",
            "Unsubscribe",
            connection_id,
            "DELETE",
            "/members/{{ account.member_id }}",
            success_statuses=["200-299", 404],
        )
    ]


TEMPLATE = SystemTemplate(
    key="mailman",
    name="GNU Mailman 3",
    vendor="GNU Mailman",
    summary="Subscribes the person to the list that the access level names; unsubscribes on revoke.",
    needs="The access level of a grant is the list's id, such as staff.example.org, and a person is on one list. "
    "The REST API is internal by design: EGRESS_ALLOW must list it.",
    credential="The REST password (admin_pass).",
    documented_at="docs.mailman3.org, REST API",
    config={"auth": "basic", "username": "restadmin", "health_path": "/system/versions"},
    questions=(
        TemplateQuestion(
            "base_url", "Base URL", "Host and port of the REST server.", "http://localhost:8001/3.1"
        ),
        TemplateQuestion("username", "User name", "The REST user (admin_user).", "restadmin"),
    ),
    grant=grant,
    revoke=revoke,
)
