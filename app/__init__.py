"""Access Automation: who has access to which application, and the outside world made to match."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from flask import Flask, has_request_context
from werkzeug.middleware.proxy_fix import ProxyFix

from app.clock import set_zone
from app.config.checks import SettingsError
from app.config.settings import Settings, load_settings
from app.connectors.alerts import Channels, Hook, hook_policy
from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.connectors.mail import MailServer
from app.connectors.places import FewAtOnce, Places
from app.crypto import KeyRing
from app.database import pool_options, prepare_engine
from app.extensions import csrf, db, htmx, login_manager
from app.logs import configure_logging
from app.net.target import BadTarget
from app.queue import RunQueue

MAX_BODY_BYTES = 1024 * 1024


def create_app(settings: Settings | None = None, *, pages: bool = True) -> Flask:
    """Build the application: settings, extensions, and, with `pages`, everything that answers over HTTP.

    Workers build it without pages, to stay small.  Raises SettingsError when a setting cannot be used.
    """
    settings = settings or load_settings()
    configure_logging(settings.log_format)
    set_zone(settings.time_zone)
    app = Flask(__name__, static_folder="static" if pages else None)
    app.config.from_mapping(_flask_config(settings))
    app.extensions["settings"] = settings
    app.extensions["keyring"] = KeyRing(list(settings.credential_keys))
    app.extensions["run_queue"] = RunQueue(settings.redis_url)
    policy = _egress_policy(settings)
    if pages:
        # Of the threads that answer people most are left, however long others take to answer us.
        app.extensions["outside"] = Places(3, waiting=2)
        app.extensions["egress"] = FewAtOnce(policy, app.extensions["outside"], has_request_context)
    else:
        app.extensions["egress"] = HttpClient(policy, max_connections=2 * settings.worker_concurrency)
    app.extensions["alerts"] = _alert_channels(settings)
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)
    if pages:
        from flask_migrate import Migrate  # a tenth of a worker's memory, and of no use to it

        Migrate(app, db, directory="migrations")
        _add_entrances(app, settings)
    return app


def _add_entrances(app: Flask, settings: Settings) -> None:
    from app import api, cli, web  # here, so that workers never load them
    from app.local.demo import commands

    htmx.init_app(app)
    csrf.init_app(app)
    # Its context processor would ask storage who is reading for every page, also those that must not ask.
    login_manager.init_app(app, add_context_processor=False)
    if settings.public_url:
        # A public address means a proxy in front, which says whom it speaks for.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    web.register(app)
    api.register(app)
    commands.register(app)
    cli.register(app)  # last: it sees to every command that there is


def _egress_policy(settings: Settings) -> EgressPolicy:
    return EgressPolicy(
        ",".join(settings.egress_allow), forbidden=settings.own_endpoints(), production=settings.is_production
    )


def _alert_channels(settings: Settings) -> Channels:
    """The ways out for alerts, with a client of their own: what opens its target to them opens it to nobody else."""
    own = settings.own_endpoints()
    mail = hook = None
    policy = EgressPolicy(forbidden=own, production=settings.is_production)
    if settings.smtp_url:
        mail = MailServer.of(settings.smtp_url, sender_host=urlsplit(settings.public_url).hostname or "")
    if settings.alert_webhook_url:
        hook = Hook(settings.alert_webhook_url, settings.alert_webhook_secret)
        try:
            policy = hook_policy(
                hook, allow=settings.egress_allow, own=own, production=settings.is_production
            )
        except BadTarget as problem:
            raise SettingsError(
                "ALERT_WEBHOOK_URL", f"is not an address that can be called: {problem}"
            ) from None
        except ValueError:
            raise SettingsError(
                "ALERT_WEBHOOK_URL", "names a host that is never called; choose another"
            ) from None
    client = HttpClient(policy, max_connections=4)
    return Channels(mail=mail, hook=hook, client=client, base_url=settings.base_url)


def _flask_config(settings: Settings) -> dict[str, object]:
    secure = settings.public_url.startswith("https://")
    return {
        "SECRET_KEY": settings.secret_key,
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        # Parameters hold personal data and sealed secrets: they stay out of every error.
        "SQLALCHEMY_ENGINE_OPTIONS": {"hide_parameters": True, **pool_options(settings.database_url)},
        "MAX_CONTENT_LENGTH": MAX_BODY_BYTES,
        "MAX_FORM_MEMORY_SIZE": MAX_BODY_BYTES,
        "MAX_FORM_PARTS": 2000,
        "SESSION_COOKIE_NAME": "__Host-session" if secure else "session",
        "SESSION_COOKIE_SECURE": secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_REFRESH_EACH_REQUEST": False,
        "PERMANENT_SESSION_LIFETIME": timedelta(hours=settings.session_hours),
        # A token lives as long as its session, so that a page left open over lunch can still be submitted.
        "WTF_CSRF_TIME_LIMIT": None,
        "WTF_CSRF_CHECK_DEFAULT": True,
    }
