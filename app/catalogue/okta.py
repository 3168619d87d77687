"""Okta by its Users API: users made or found, activated and deactivated."""

from __future__ import annotations

from app.catalogue.kinds import Step, SystemTemplate, TemplateQuestion, http

EMAIL = "{{ grantee.email | lower }}"


def grant(connection_id: str) -> list[Step]:
    return [
        http(
            "create",
            "Create the user",
            connection_id,
            "POST",
            "/api/v1/users",
            query={"activate": "true"},
            body={
                "profile": {
                    "firstName": "{{ grantee.first_name }}",
                    "lastName": "{{ grantee.last_name }}",
                    "email": EMAIL,
                    "login": EMAIL,
                }
            },
            # A login that exists is refused with 400, as is data that is wrong: the lookup tells them apart.
            on_failure="continue",
            idempotent=True,
        ),
        http(
            "lookup",
            "Find the user",
            connection_id,
            "GET",
            f"/api/v1/users/{EMAIL}",
            capture={"id": "$.id"},
        ),
        http(
            "activate",
            "Make sure that it is active",
            connection_id,
            "POST",
            "/api/v1/users/{{ steps.lookup.id }}/lifecycle/activate",
            query={"sendEmail": "true"},
            # 403 is Okta's answer for a user who is neither staged nor deactivated: there is nothing to do.
            success_statuses=["200-299", 403],
            idempotent=True,
        ),
    ]


def revoke(connection_id: str) -> list[Step]:
    return [
        http(
            "deactivate",
            "Deactivate the user",
            connection_id,
            "POST",
            "/api/v1/users/{{ account.id }}/lifecycle/deactivate",
            query={"sendEmail": "false"},
            success_statuses=["200-299", 404],
            idempotent=True,
        )
    ]


TEMPLATE = SystemTemplate(
    key="okta",
    name="Okta",
    vendor="Okta",
    summary="Creates or finds the user and activates it; deactivates it on revoke.",
    needs="The login in Okta is the person's email address.",
    credential="SSWS, a space, and an API token of an administrator: SSWS 00abc…",
    documented_at="developer.okta.com/docs/api (User, User Lifecycle)",
    config={
        "auth": "api_key",
        "api_key_header": "Authorization",
        "health_path": "/api/v1/users/me",
        "requests_per_second": 5,
    },
    questions=(
        TemplateQuestion(
            "base_url", "Base URL", "The address of your Okta organisation.", "https://your-org.okta.com"
        ),
    ),
    grant=grant,
    revoke=revoke,
)
