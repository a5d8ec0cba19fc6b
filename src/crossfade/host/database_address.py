"""A database's address, as the driver reads it and as people may be told it.

Rule: what is told never holds a part of a password. One with an unquoted slash or @ is read as port and database
name, which an error would then quote; such an address counts as none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict


def read_address(url: str) -> dict[str, Any] | None:
    """The parts of the address (manual 34.1.1); None where it is none, or a password may stand in another part."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        return None
    ports = str(given.get("port") or 5432).split(",")
    misread = "@" in f"{given.get('dbname') or ''}{given.get('host') or ''}"
    return None if misread or not all(port.isdigit() for port in ports) else dict(given)


def told_address(url: str, environ: Mapping[str, str] = os.environ) -> str:
    """Database, host and port, for an error. What the address leaves out, the driver takes from PG* variables."""
    given = read_address(url)
    if given is None:
        return "admin_url"
    service = given.get("service") or environ.get("PGSERVICE")
    if service and not given.get("host"):
        return f"service {service} of pg_service.conf"
    host = given.get("host") or given.get("hostaddr") or environ.get("PGHOST") or environ.get("PGHOSTADDR")
    name = given.get("dbname") or environ.get("PGDATABASE") or given.get("user") or environ.get("PGUSER") or "default"
    return f"{name} at {host or 'local socket'}:{given.get('port') or environ.get('PGPORT') or 5432}"
