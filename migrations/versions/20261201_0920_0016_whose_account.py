"""An index by which it is known whose account an id is."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_NAME = "ix_external_accounts_known_id"


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    # Versions of SQLite that are still in use do not know the operator.
    known_id = """JSON_EXTRACT(captured, '$."id"')""" if is_sqlite else "(captured ->> 'id')"
    op.create_index(_NAME, "external_accounts", [sa.text(known_id), "application_id"])


def downgrade() -> None:
    op.drop_index(_NAME, "external_accounts")
