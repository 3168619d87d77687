"""Jira Cloud by its REST API 3: users added to the site and removed from it."""

from __future__ import annotations

from app.catalogue.kinds import Step, SystemTemplate, TemplateQuestion, http


def grant(connection_id: str) -> list[Step]:
    return [
        http(
            "add",
            "Add to Jira",
            connection_id,
            "POST",
            "/rest/api/3/user",
            body={"emailAddress": "{{ grantee.email | lower }}", "products": ["jira-software"]},
            capture={"account_id": "$.accountId"},
            # Jira answers 201 for somebody who has access already, so a repeat changes nothing.
            idempotent=True,
        )
    ]


def revoke(connection_id: str) -> list[Step]:
    return [
        http(
            "remove",
            "Remove from Jira",
            connection_id,
            "DELETE",
            "/rest/api/3/user",
            query={"accountId": "{{ account.account_id }}"},
            success_statuses=["200-299", 404],
        )
    ]


TEMPLATE = SystemTemplate(
    key="jira",
    name="Jira Cloud",
    vendor="Atlassian",
    summary="Adds the person to the site with Jira access, and removes the user on revoke.",
    needs="An administrator of the site. The Atlassian account itself stays the person's own.",
    credential="An API token of that administrator.",
    documented_at="developer.atlassian.com/cloud/jira/platform/rest/v3",
    config={"auth": "basic", "health_path": "/rest/api/3/myself"},
    questions=(
        TemplateQuestion(
            "base_url", "Base URL", "The address of the site.", "https://your-site.atlassian.net"
        ),
        TemplateQuestion("username", "Administrator's email", "Whose API token will be the credential."),
    ),
    grant=grant,
    revoke=revoke,
)
