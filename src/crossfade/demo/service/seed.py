"""Sets the shop's database up: tables, invented accounts and products, and a role that may not run DDL.

Invariants: `prepare` may run any number of times, at once too, and never removes or changes a row. Rights on
tables that versions change are on the whole table, so columns may come and go without a grant.
"""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import sql

from .passwords import hash_password

ACCOUNTS = 50
PRODUCTS = 40
ONE_AT_A_TIME = 0x5409  # any number of its own for the advisory lock

GRANTS = (
    "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT ON users, products TO {role}",
    "GRANT UPDATE (stock) ON products TO {role}",
    "GRANT SELECT, INSERT, DELETE ON sessions TO {role}",
    "GRANT SELECT, INSERT ON orders, order_lines TO {role}",
)


def account(number: int) -> tuple[str, str]:
    """Return e-mail and password of an invented account, `number` from 0 to ACCOUNTS - 1."""
    return f"user{number}@shop.example", f"only-for-the-demo-{number}"


def prepare(admin_url: str, app_role: str, password: str) -> None:
    """Create tables, rows and the application's role in the database that `admin_url` names."""
    with psycopg.connect(admin_url) as connection:
        connection.execute("SET LOCAL client_min_messages = warning")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_AT_A_TIME])
        connection.execute((Path(__file__).parent / "schema.sql").read_bytes())
        _fill(connection)
        _grant(connection, app_role, password)


def _fill(connection: psycopg.Connection) -> None:
    if connection.execute("SELECT 1 FROM products LIMIT 1").fetchone() is None:
        connection.execute(
            "INSERT INTO products (id, name, price_cents, stock)"
            " SELECT n, 'Record no. ' || n, 500 + (n * 137) %% 4500, (n * 31) %% 90 FROM generate_series(1, %s) n",
            [PRODUCTS],
        )
    if connection.execute("SELECT 1 FROM users LIMIT 1").fetchone() is None:
        rows = [(account(n)[0], f"Listener {n}", hash_password(account(n)[1])) for n in range(ACCOUNTS)]
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO users (email, name, password_hash) VALUES (%s, %s, %s)", rows)


def _grant(connection: psycopg.Connection, app_role: str, password: str) -> None:
    role = sql.Identifier(app_role)
    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [app_role]).fetchone() is None:
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    # The verifier is computed here, so the password itself is in no statement and no server log.
    verifier = connection.pgconn.encrypt_password(password.encode(), app_role.encode(), b"scram-sha-256")
    connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
            role, sql.Literal(verifier.decode())
        )
    )
    for grant in GRANTS:
        connection.execute(sql.SQL(grant).format(role=role))
