"""Password hashes: scrypt with a salt per account. Cheap parameters, because the accounts are invented."""

from __future__ import annotations

import hashlib
import hmac
import secrets

COST = 1024


def hash_password(password: str) -> str:
    """Return `salt$digest`, both hexadecimal."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${_digest(password, salt).hex()}"


def password_matches(password: str, stored: str) -> bool:
    """Say whether the password belongs to the stored hash, in constant time."""
    salt, _, digest = stored.partition("$")
    return hmac.compare_digest(_digest(password, bytes.fromhex(salt)).hex(), digest)


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=COST, r=8, p=1, dklen=32)
