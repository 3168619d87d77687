"""The family's blueprint, which its modules add their pages to."""

from __future__ import annotations

from flask import Blueprint

bp = Blueprint("auth", __name__)
