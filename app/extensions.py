"""The Flask extensions: made here, bound to an app by the factory."""

from __future__ import annotations

from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from htmx_flask import Htmx

from app.models import Base

# The tables know nothing of Flask; sharing their metadata gives them its sessions and engine.
db = SQLAlchemy(metadata=Base.metadata)
csrf = CSRFProtect()
login_manager = LoginManager()
htmx = Htmx()
