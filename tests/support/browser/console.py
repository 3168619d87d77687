"""The console itself for browser checks: on a SQLite database of its own, with people who can sign in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy.orm import Session

from app import create_app
from app.config.settings import load_settings
from app.extensions import db
from app.services import passwords
from tests.support.browser.watched_page import Watched
from tests.support.factories import make_user

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "correct horse battery"
Open = Callable[..., Watched]


def make_console(folder: Path) -> Flask:
    """The app on an empty, migrated database in `folder`; nobody listens on its queue."""
    settings = load_settings(
        {
            "DATABASE_URL": f"sqlite:///{folder}/console.sqlite3",
            "DATA_DIR": str(folder),
            "REDIS_URL": f"unix://{folder}/nobody.sock",
        },
        env_file=None,
    )
    app = create_app(settings)
    app.config["PASSWORD_HASH_COST"] = "test"
    with app.app_context():
        upgrade(directory=str(ROOT / "migrations"))
        db.engine.dispose()
    return app


def write(app: Flask, change: Callable[[Session], object]) -> None:
    """Let `change` write through a session, and commit."""
    with app.app_context():
        change(db.session())
        db.session.commit()


def add_person(session: Session, name: str, role: str) -> None:
    """Somebody who can sign in with PASSWORD as `name`@example.org."""
    make_user(
        session,
        role,
        email=f"{name}@example.org",
        first_name=name.capitalize(),
        last_name="Example",
        password_hash=passwords.hash_password(PASSWORD),
    )


def open_as(open_page: Open, base: str, name: str, path: str = "/", **options: object) -> Watched:
    """A page that `name` has signed in to, through the form."""
    watched = open_page(base, "/sign-in", **options)
    watched.page.get_by_label("Email").fill(f"{name}@example.org")
    watched.page.get_by_label("Password").fill(PASSWORD)
    watched.page.get_by_role("button", name="Sign in").click()
    watched.page.wait_for_url(base + "/")
    if path != "/":
        watched.goto(path)
    return watched
