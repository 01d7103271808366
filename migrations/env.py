"""How migrations run: as the owner role, one at a time, and never waiting long for a lock."""

import os

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text

from app.models import Base

LOCK = 0x656F69  # one number, known to every process that migrates this database


def migrate(connection: Connection) -> None:
    """Bring the database to the head revision over `connection`, holding an advisory lock meanwhile."""
    connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": LOCK})
    connection.execute(
        text("set lock_timeout = '5s'; set statement_timeout = '10min'; set idle_in_transaction_session_timeout = 0")
    )
    connection.commit()
    context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": LOCK})
    connection.commit()


if (given := context.config.attributes.get("connection")) is not None:
    migrate(given)
else:
    engine = create_engine(
        os.environ["DATABASE_OWNER_URL"].replace("postgresql://", "postgresql+psycopg://"), poolclass=pool.NullPool
    )
    with engine.connect() as own:
        migrate(own)
