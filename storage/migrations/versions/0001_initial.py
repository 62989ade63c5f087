"""The first schema, as the statements each database was given: one file per dialect beside this one."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SEPARATOR = "\n-- next\n"


def upgrade() -> None:
    """Create every table, index and full-text part."""
    dialect = op.get_bind().dialect.name
    for statement in Path(__file__).with_name(f"0001_initial.{dialect}.sql").read_text().split(_SEPARATOR):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Refuse: there is nothing before the first schema but losing everything."""
    message = "the first migration cannot be taken back; drop the database instead"
    raise NotImplementedError(message)
