"""Okta by its Users API: users found or made, activated, brought up to date and deactivated, by their status.

developer.okta.com/docs/api/openapi/okta-management (User, User Lifecycle), /docs/reference/error-codes and
/docs/reference/rl-best-practices, read 2026-12-01. A login that exists is answered with 400; a deactivated user can
be read and activated, and answers 404 to everything else.
"""

from __future__ import annotations

from typing import Any

from app.catalogue.kinds import (
    ASKS_FOR_JSON,
    RETRY,
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
    the_account,
)

USER = "/api/v1/users/{{ account.id }}"
REASON = {"failure_reason": "$..errorSummary"}
PROFILE = {
    "firstName": "{{ grantee.first_name | omit_empty }}",
    "lastName": "{{ grantee.last_name | omit_empty }}",
    "email": "{{ grantee.email }}",
    "login": "{{ grantee.email }}",
}
OFF = ["STAGED", "DEPROVISIONED"]
IS_OFF = {"value": "{{ steps.state.status }}", "is": "in", "than": OFF}


def by_login(key: str, name: str, connection_id: str, **more: Any) -> Step:
    """Find the user of this login, also one who is deactivated."""
    capture = {"id": the_account("$.id")}
    return look(
        key, name, connection_id, "/api/v1/users/{{ grantee.email }}", capture=capture, **REASON, **more
    )


def lookup(connection_id: str) -> Step:
    return by_login(
        "lookup",
        "Find the user",
        connection_id,
        only_if=if_empty("account.id"),
        on_status={"404": go_to("state")},
    )


def state(connection_id: str, nobody: str, **more: Any) -> Step:
    return look(
        "state",
        "Look at the user",
        connection_id,
        USER,
        only_if=if_known("account.id"),
        capture={"status": in_passing("$.status")},
        on_status={"404": go_to(nobody)},
        **REASON,
        **more,
    )


def lifecycle(key: str, name: str, connection_id: str, act: str, mails: bool, **more: Any) -> Step:
    return http(
        key,
        name,
        connection_id,
        "POST",
        f"{USER}/lifecycle/{act}",
        query={"sendEmail": "true" if mails else "false"},
        idempotent=True,
        **REASON,
        **more,
    )


def grant(connection_id: str) -> list[Step]:
    return [
        lookup(connection_id),
        # Who suspended a user had a reason: it is said, and a person decides.
        state(connection_id, "create", expect=[{"path": "$.status", "is": "not_equal", "than": "SUSPENDED"}]),
        http(
            "create",
            "Create the user",
            connection_id,
            "POST",
            "/api/v1/users",
            only_if=if_empty("steps.state.status"),
            query={"activate": "true"},
            body={"profile": PROFILE},
            capture={"id": "$.id"},
            idempotent=True,
            # As after a try whose answer was lost; for data that is wrong the next step finds nobody.
            on_status={"400": go_to("taken")},
            on_success=go_to("activate"),
            **REASON,
        ),
        by_login("taken", "It was refused: find who has the login", connection_id),
        # Without a mail: it would go to the address that the user had before.
        lifecycle("activate", "Activate the user", connection_id, "activate", False, only_if=[IS_OFF]),
        http(
            "update",
            "Bring it up to date",
            connection_id,
            "POST",
            USER,
            only_if=if_empty("steps.create.id"),
            body={"profile": PROFILE},
            capture={"status": in_passing("$.status")},
            idempotent=True,
            # Activation is not done at once, and until then there is nobody to change.
            retry={
                **RETRY,
                "wait_statuses": [404, 429],
                "wait_when": [{"path": "$.transitioningToStatus", "is": "not_empty"}],
                "poll": {"every_seconds": 10, "for_seconds": 600},
            },
            expect=[{"path": "$.status", "is": "not_in", "than": [*OFF, "SUSPENDED"]}],
            **REASON,
        ),
        lifecycle(
            "invite",
            "Send the mail that activates it",
            connection_id,
            "reactivate",
            True,
            only_if=[IS_OFF, {"value": "{{ steps.update.status }}", "is": "equal", "than": "PROVISIONED"}],
        ),
    ]


def revoke(connection_id: str) -> list[Step]:
    is_on = {"value": "{{ steps.state.status }}", "is": "not_equal", "than": "DEPROVISIONED"}
    return [
        here("Make sure that it is Okta", connection_id, "/api/v1/users/me", "$.id", **REASON),
        lookup(connection_id),
        state(connection_id, "deactivate"),
        lifecycle(
            "deactivate",
            "Deactivate the user",
            connection_id,
            "deactivate",
            False,
            only_if=[*if_known("steps.state.status"), is_on],
        ),
    ]


TEMPLATE = SystemTemplate(
    key="okta",
    name="Okta",
    vendor="Okta",
    summary="Finds or creates the user, activates it and keeps its profile up to date; deactivates it on revoke.",
    needs="The login in Okta is the person's email address, and Okta's own directory is the source of the profile. "
    "Everybody has a first and a last name. A suspended user fails the run: unsuspend it in Okta first.",
    credential="SSWS, a space, and an API token of an administrator: SSWS 00abc… Okta prefers OAuth 2.0 for service "
    "apps over such tokens; a token of an account of its own with the role Group or User Administrator is enough.",
    documented_at="developer.okta.com/docs/api (User, User Lifecycle), read 2026-12-01",
    config={
        "auth": "api_key",
        "api_key_header": "Authorization",
        "headers": ASKS_FOR_JSON,
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
