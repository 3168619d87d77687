"""The blueprint, alone in its module so that the views of this family can share it."""

from __future__ import annotations

from flask import Blueprint

bp = Blueprint("system", __name__)
