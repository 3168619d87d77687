"""The Flask extensions: made here, bound to an app by the factory."""

from __future__ import annotations

from flask import current_app
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from htmx_flask import Htmx

from app.crypto import KeyRing
from app.models import Base

# The tables know nothing of Flask; sharing their metadata gives them its sessions and engine.
db = SQLAlchemy(metadata=Base.metadata)
csrf = CSRFProtect()
login_manager = LoginManager()
htmx = Htmx()


def keyring() -> KeyRing:
    """The keys that seal what this console keeps secret."""
    keys: KeyRing = current_app.extensions["keyring"]
    return keys
