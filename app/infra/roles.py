"""The two roles of the database, the owner for migrations and the one that serves, and a database for them."""

import psycopg
from psycopg import sql

OWNER, APP = "eoi_owner", "eoi_app"
POWERS = "login nosuperuser nocreatedb nocreaterole noreplication nobypassrls"
LIMITS = {  # for the serving role: nobody can hold a lock on a call for long, and so delay its seal
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
    "lock_timeout": "15s",
}
LOCK = 0x656F6A  # one number, known to every process that prepares a database of this server


def ensure_database(superuser_url: str, name: str, template: str = "template1") -> None:
    """Have both roles and this database, owned by eoi_owner, open to eoi_app and to nobody else. Can be repeated.

    Passwords are not touched: the embedded database needs none, another server's administrator sets them.
    """
    with psycopg.connect(superuser_url, autocommit=True) as db:
        db.execute("select pg_advisory_lock(%s)", [LOCK])
        owner, app, database = sql.Identifier(OWNER), sql.Identifier(APP), sql.Identifier(name)
        for role, identifier in ((OWNER, owner), (APP, app)):
            if not db.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
                db.execute(sql.SQL("create role {}").format(identifier))
            db.execute(sql.SQL("alter role {} {}").format(identifier, sql.SQL(POWERS)))
        for setting, value in LIMITS.items():
            db.execute(sql.SQL("alter role {} set {} = {}").format(app, sql.Identifier(setting), sql.Literal(value)))
        if not db.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            create = sql.SQL("create database {} owner {} template {}")
            db.execute(create.format(database, owner, sql.Identifier(template)))
        db.execute(sql.SQL("revoke all on database postgres, template1, {} from public").format(database))
        db.execute(sql.SQL("grant connect on database {} to {}").format(database, app))
