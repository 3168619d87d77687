"""People: the directory, bringing people in from a file, and what each has access to."""

from app.web.people import copy_access, import_page, views
from app.web.people.blueprint import bp

__all__ = ["bp", "copy_access", "import_page", "views"]
