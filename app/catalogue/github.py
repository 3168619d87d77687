"""A GitHub organisation by the REST API: memberships given and removed, owners left alone.

docs.github.com/rest/orgs/members, /rest/users/users (a user by id) and
/rest/using-the-rest-api/rate-limits-for-the-rest-api, read 2026-12-01.

A login can be renamed, and taken by somebody else; the number of a user stays.
"""

from __future__ import annotations

from typing import Any

from app.catalogue.kinds import (
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

ORGANISATION = "/orgs/<organisation>"
# A limit is answered with 429, or with 403 and these words.
SHARED: dict[str, Any] = {
    "failure_reason": "$.message",
    "retry": {
        **RETRY,
        "wait_when": [
            {"path": "status", "is": "equal", "than": 403},
            {"path": "$.message", "is": "contains", "than": "rate limit"},
        ],
        "poll": {"for_seconds": 2 * 3600},
    },
}


def by_login(connection_id: str, **more: Any) -> Step:
    return look("user", "Find the user", connection_id, "/users/{{ grantee.username }}", **more, **SHARED)


def membership(connection_id: str, login: str, **more: Any) -> Step:
    return look(
        "membership",
        "Look at the membership",
        connection_id,
        f"{ORGANISATION}/memberships/{{{{ {login} }}}}",
        capture={"role": in_passing("$.role")},
        **more,
        **SHARED,
    )


def grant(connection_id: str) -> list[Step]:
    return [
        by_login(connection_id, capture={"id": the_account("$.id")}),
        membership(connection_id, "grantee.username", on_status={"404": go_to("invite")}),
        http(
            "invite",
            "Invite to the organisation",
            connection_id,
            "PUT",
            f"{ORGANISATION}/memberships/{{{{ grantee.username }}}}",
            # It sets the role: an owner would become a member.
            only_if=if_empty("steps.membership.role"),
            body={"role": "member"},
            expect=[{"path": "$.state", "is": "in", "than": ["active", "pending"]}],
            **SHARED,
        ),
    ]


def revoke(connection_id: str) -> list[Step]:
    return [
        here("Make sure that it is the organisation", connection_id, ORGANISATION, "$.login", **SHARED),
        by_login(
            connection_id,
            only_if=if_empty("account.id"),
            capture={"id": the_account("$.id")},
            on_status={"404": go_to("login")},
        ),
        look(
            "login",
            "Find their login",
            connection_id,
            "/user/{{ account.id }}",
            only_if=if_known("account.id"),
            capture={"name": in_passing("$.login")},
            on_status={"404": go_to("membership")},
            **SHARED,
        ),
        membership(
            connection_id,
            "steps.login.name",
            only_if=if_known("steps.login.name"),
            on_status={"404": go_to("remove")},
            # This access did not make anybody an owner, and does not take it away: a person decides.
            expect=[{"path": "$.role", "is": "not_equal", "than": "admin"}],
        ),
        http(
            "remove",
            "Remove from the organisation",
            connection_id,
            "DELETE",
            f"{ORGANISATION}/memberships/{{{{ steps.login.name }}}}",
            # Also takes back an invitation that was not accepted.
            only_if=if_known("steps.membership.role"),
            **SHARED,
        ),
    ]


TEMPLATE = SystemTemplate(
    key="github",
    name="GitHub organisation",
    vendor="GitHub",
    summary="Invites the person to the organisation as a member, and removes the membership on revoke.",
    needs="Each person's username here is their GitHub login. Owners stay owners: whoever is one is not demoted by a "
    "grant, and fails a revoke until a person has decided. GitHub lets 50 people a day be invited, 500 to older or "
    "paying organisations.",
    credential="A token of an organisation owner with the permission Members: read and write.",
    documented_at="docs.github.com/rest/orgs/members, read 2026-12-01",
    config={
        "auth": "bearer",
        "headers": {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
        "health_path": ORGANISATION,
        # GitHub asks for a second between writes.
        "requests_per_second": 1,
    },
    questions=(
        TemplateQuestion(
            "base_url", "Base URL", "Another one for GitHub Enterprise.", "https://api.github.com"
        ),
        TemplateQuestion(
            "organisation", "Organisation", "As it stands in its address on GitHub.", in_steps=True
        ),
    ),
    grant=grant,
    revoke=revoke,
)
