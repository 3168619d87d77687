"""Connection and workflow templates for systems that administrators ask for first: plain data."""

from __future__ import annotations

from app.catalogue import entra, github, jira, mailman, okta, scim, slack
from app.catalogue.kinds import SystemTemplate

TEMPLATES: tuple[SystemTemplate, ...] = (
    scim.TEMPLATE,
    entra.TEMPLATE,
    github.TEMPLATE,
    jira.TEMPLATE,
    mailman.TEMPLATE,
    okta.TEMPLATE,
    slack.TEMPLATE,
)


def template_called(key: str) -> SystemTemplate | None:
    """The template of this key, None when there is none."""
    return next((one for one in TEMPLATES if one.key == key), None)
