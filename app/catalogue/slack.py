"""Slack by its SCIM API 2.0: members made, found, reactivated and deactivated."""

from __future__ import annotations

from app.catalogue import scim
from app.catalogue.kinds import Step, SystemTemplate, TemplateQuestion, http


def grant(connection_id: str) -> list[Step]:
    return [
        scim.create(connection_id),
        # Slack makes its own user name of an address, so the address is what finds the member again.
        scim.lookup(connection_id, "email"),
        scim.set_active(
            "activate", "Reactivate the member", connection_id, "/Users/{{ steps.lookup.id }}", True
        ),
    ]


def revoke(connection_id: str) -> list[Step]:
    return [
        http(
            "deactivate",
            "Deactivate the member",
            connection_id,
            "DELETE",
            "/Users/{{ account.id }}",
            headers=scim.CONTENT,
            success_statuses=["200-299", 404],
        )
    ]


TEMPLATE = SystemTemplate(
    key="slack",
    name="Slack",
    vendor="Slack",
    summary="Creates or reactivates the member, and deactivates it on revoke.",
    needs="A plan with SCIM (Business+ or Enterprise), and a token with the admin scope.",
    credential="The OAuth token of an owner or administrator, with the scope admin.",
    documented_at="docs.slack.dev/reference/scim-api",
    config={"auth": "bearer", "health_path": "/ServiceProviderConfig", "requests_per_second": 2},
    questions=(
        TemplateQuestion(
            "base_url", "Base URL", "The same for every workspace.", "https://api.slack.com/scim/v2"
        ),
    ),
    grant=grant,
    revoke=revoke,
)
