"""Workflows that were saved before steps could say which account they mean are marked where that is in doubt."""

import json
import re
from collections import defaultdict

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_BY_PLACE = re.compile(r"\[-?[0-9]+\]")
_MAY_BE_EMPTY = re.compile(
    r"\{\{\s*(grantee\.(first_name|last_name|username|employee_id)|grant\.(access_level|expires_at))\s*[|}]"
)
_ALONE = re.compile(r"\{\{[^{}]*\}\}")


def upgrade() -> None:
    op.add_column(
        "workflows", sa.Column("to_review", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    bind = op.get_bind()
    rows = bind.execute(
        sa.text(
            "SELECT w.id, w.application_id, v.steps FROM workflows w"
            " JOIN workflow_versions v ON v.id = w.version_id WHERE w.deleted_at IS NULL"
        )
    ).all()
    keepers = defaultdict(set)
    marked = set()
    for number, application, stored in rows:
        steps = _steps(stored)
        for step in steps:
            if not isinstance(step, dict):
                continue
            capture = step.get("capture")
            for name, rule in capture.items() if isinstance(capture, dict) else ():
                keepers[application, name].add((number, step.get("key")))
                path = rule.get("path") if isinstance(rule, dict) else rule
                if _BY_PLACE.search(str(path)):
                    marked.add(number)
            if any(_may_be_empty(text, alone=False) for text in _texts(step.get("query"))):
                marked.add(number)
            if any(_may_be_empty(text, alone=True) for text in _texts(step.get("body"))):
                marked.add(number)
    for steps in keepers.values():
        if len(steps) > 1:
            marked |= {number for number, _ in steps}
    for number in sorted(marked):
        bind.execute(
            sa.text("UPDATE workflows SET to_review = :yes WHERE id = :id"), {"yes": True, "id": number}
        )


def downgrade() -> None:
    op.drop_column("workflows", "to_review")


def _steps(stored):
    """The steps of a version, as far as they are any; SQLite gives them as text."""
    if isinstance(stored, str):
        try:
            stored = json.loads(stored)
        except ValueError:
            return []
    return stored if isinstance(stored, list) else []


def _texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _may_be_empty(text, *, alone):
    """Whether a value that may be missing stands where an empty one is refused; `alone`: by itself it is not."""
    return bool(_MAY_BE_EMPTY.search(text)) and not (alone and _ALONE.fullmatch(text.strip()))
