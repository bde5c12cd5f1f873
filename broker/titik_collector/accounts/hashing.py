"""Secrets: how they are drawn, and what is kept in their place.

Rule: the desk holds no secret. A password may be weak, so its hash takes time and memory; the rest
are 256 random bits, and SHA-256 is enough.
Rule: who compares takes the same time whatever differs.
"""

import hashlib
import hmac
import secrets

COST, BLOCK, LANES = 1 << 15, 8, 1  # of scrypt: 32 MB and a tenth of a second
SALT_BYTES = 16
SECRET_BYTES = 32
# Read over a telephone: no 0 beside O, no 1 beside l.
LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
GROUPS, GROUP = 4, 5  # 100 bits


def hash_password(password: str, cost: int = COST) -> str:
    """What is kept of it; `cost` is lower in tests."""
    salt = secrets.token_bytes(SALT_BYTES)
    parts = ("scrypt", cost, BLOCK, LANES, salt.hex(), _scrypt(password, salt, cost, BLOCK, LANES))
    return ":".join(map(str, parts))


def is_password(password: str, kept: str) -> bool:
    """Whether it is the one that `kept` was made of."""
    _, cost, block, lanes, salt, expected = kept.split(":")
    found = _scrypt(password, bytes.fromhex(salt), int(cost), int(block), int(lanes))
    return hmac.compare_digest(found, expected)


def _scrypt(password: str, salt: bytes, cost: int, block: int, lanes: int) -> str:
    memory = 128 * cost * block * lanes * 2
    secret = password.encode()
    return hashlib.scrypt(secret, salt=salt, n=cost, r=block, p=lanes, maxmem=memory).hex()


def new_password() -> str:
    """One that nobody guesses, such as `k3fmq-xw7ta-9bcde-mn4pq`."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(GROUP)) for _ in range(GROUPS))


def new_secret() -> str:
    """256 bits, of a session or a token."""
    return secrets.token_urlsafe(SECRET_BYTES)


def hash_secret(secret: str) -> bytes:
    """What is kept of it."""
    return hashlib.sha256(secret.encode()).digest()


def are_equal(one: str, other: str) -> bool:
    """In the same time wherever they differ."""
    return hmac.compare_digest(one.encode(), other.encode())
