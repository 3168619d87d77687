"""The family's blueprint, which its modules add their routes to."""

from flask import Blueprint

bp = Blueprint("tasks", __name__, url_prefix="/tasks")
