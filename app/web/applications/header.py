"""The head that every page of one application shares: its name, its main button and its tabs.

A page of another family that belongs to an application passes `application_header(application, "workflows")`
to its template and includes `applications/_header.html` at the top of its main block.
"""

from __future__ import annotations

from flask import url_for

from app.models import Application
from app.web.login_session import viewer_may


def application_header(application: Application, tab: str) -> dict[str, object]:
    """The variables of `applications/_header.html`: `application`, `tabs`, `crumbs` and `may_grant`.

    `tab` is access, workflows, connections or runs, or "" for a page behind none of them.
    """
    base = url_for("applications.show", application_id=application.id)
    tabs = [{"label": "Access", "href": base, "current": tab == "access"}]
    if viewer_may("workflow:read"):
        tabs += [
            {"label": label, "href": f"{base}/{name}", "current": tab == name}
            for name, label in (
                ("workflows", "Workflows"),
                ("connections", "Connections"),
                ("runs", "Runs"),
            )
        ]
    return {
        "application": application,
        "nav": "applications",
        "tabs": tabs,
        "may_grant": viewer_may("grant:write"),
        "may_edit": viewer_may("application:write"),
        "link": web_address(application.url),
    }


def web_address(url: str) -> str:
    """What a stored address links to: a bare host gets its scheme."""
    return url if "://" in url or not url else f"https://{url}"
