"""The console: pages for people. It parses, authorises, opens the transaction and renders."""

from __future__ import annotations

from importlib import import_module

from flask import Flask, current_app
from jinja2 import StrictUndefined
from werkzeug.routing import IntegerConverter, ValidationError

from app import request_ids
from app.schemas.kinds import MAX_ID

# Each family of pages: a module with a `bp`, or a package whose views share the `bp` of its `blueprint`. Add yours.
BLUEPRINTS: tuple[str, ...] = (
    "app.web.preferences",
    "app.web.auth",
    "app.web.home",
    "app.web.applications",
    "app.web.grants",
    "app.web.people",
    "app.web.groups",
    "app.web.roles",
    "app.web.tokens",
    "app.web.workflows",
    "app.web.connections",
    "app.web.runs",
    "app.web.bulk_retries",
    "app.web.system",
    "app.web.tasks",
    "app.web.audit",
    "app.web.alerts",
)


class RecordIdConverter(IntegerConverter):
    """`<int:…>` in an address: ASCII digits up to 2^63 - 1; what no record can be called is not found."""

    regex = r"[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        number = int(value)
        if number > MAX_ID:
            raise ValidationError
        return number


def register(app: Flask) -> None:
    """Add every page to `app`: what all answers share, the families, and what is said when one fails."""
    from app.guard import admit
    from app.web import errors, htmx, login_session, page_context, security, template_filters

    app.jinja_env.undefined = StrictUndefined
    # A line that holds nothing but a tag leaves nothing but its line break: pages are a tenth smaller.
    app.jinja_env.lstrip_blocks = True
    app.url_map.converters["int"] = RecordIdConverter
    request_ids.init_app(app)
    security.init_app(app)
    template_filters.init_app(app)
    htmx.init_app(app)
    login_session.prepare_login()
    page_context.init_app(
        app,
        viewer=login_session.viewer,
        may=login_session.viewer_may,
        counts=login_session.counts,
        exists=has_page,
        notice=_system_notice,
    )

    @app.before_request
    def let_in() -> None:
        # The API has its own way to find out who asks, and its own refusals.
        if not page_context.is_api():
            admit(login_session.actor)

    for name in BLUEPRINTS:
        app.register_blueprint(import_module(name).bp)
    errors.init_app(app)


def _system_notice() -> object | None:
    """That runs stand still, for those who may mend it."""
    from app.web import login_session
    from app.web.system.queue_watch import the_watch

    return the_watch().notice() if login_session.viewer_may("settings:manage") else None


def has_page(path: str) -> bool:
    """Whether some route answers exactly this address."""
    return any(
        rule.rule == path and "GET" in (rule.methods or ()) for rule in current_app.url_map.iter_rules()
    )
