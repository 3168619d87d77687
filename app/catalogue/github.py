"""A GitHub organisation by the REST API: memberships set and removed, by the person's GitHub login."""

from __future__ import annotations

from app.catalogue.kinds import Step, SystemTemplate, TemplateQuestion, http

MEMBERSHIP = "/memberships/{{ grantee.username }}"


def grant(connection_id: str) -> list[Step]:
    return [
        http(
            "invite",
            "Invite to the organisation",
            connection_id,
            "PUT",
            MEMBERSHIP,
            body={"role": "member"},
            capture={"membership_state": "$.state"},
        )
    ]


def revoke(connection_id: str) -> list[Step]:
    return [
        http(
            "remove",
            "Remove from the organisation",
            connection_id,
            "DELETE",
            MEMBERSHIP,
            # Also takes back an invitation that was not accepted; 404 says that there is neither.
            success_statuses=["200-299", 404],
        )
    ]


TEMPLATE = SystemTemplate(
    key="github",
    name="GitHub organisation",
    vendor="GitHub",
    summary="Invites the person to the organisation as a member, and removes the membership on revoke.",
    needs="Each person's username here is their GitHub login. GitHub limits invitations a day.",
    credential="A token of an organisation owner with the permission Members: read and write.",
    documented_at="docs.github.com/rest/orgs/members",
    config={
        "auth": "bearer",
        "headers": {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
    },
    questions=(
        TemplateQuestion(
            "base_url",
            "Base URL with the organisation",
            "Put the organisation's name at the end.",
            "https://api.github.com/orgs/your-organisation",
        ),
    ),
    grant=grant,
    revoke=revoke,
)
