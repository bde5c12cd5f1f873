"""Passwords: the secrets, each in a file, and what mosquitto compares them with.

Rule: a secret is readable by its owner alone from its first byte.
Rule: a file is replaced whole or not at all.
"""

import base64
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

# The secrets are random, 192 bits: more rounds would only make a thousand reconnects slower.
ROUNDS = 101
_SALT_BYTES = 12


@dataclass(frozen=True, slots=True)
class Hash:
    """PBKDF2 with SHA-512 of a password, as mosquitto keeps it: salt and digest in base64."""

    salt: str
    digest: str
    rounds: int = ROUNDS


def hash_password(password: str) -> Hash:
    """With a salt of its own."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return Hash(_base64(salt), _digest(password, salt, ROUNDS))


def matches(password: str, hashed: Hash | None) -> bool:
    """Whether it was made from this password; what is no hash matches nothing."""
    if hashed is None or hashed.rounds < 1:
        return False
    try:
        salt = base64.b64decode(hashed.salt, validate=True)
    except ValueError:
        return False
    return secrets.compare_digest(_digest(password, salt, hashed.rounds), hashed.digest)


def make_secret(file: Path) -> str:
    """A new random password in a new file."""
    password = secrets.token_urlsafe(24)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(password + "\n")
        opened.flush()
        os.fsync(opened.fileno())  # before the broker knows it
    return password


def read_secret(file: Path) -> str | None:
    """None if it is missing, or a power cut left nothing in it, or no text."""
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def _digest(password: str, salt: bytes, rounds: int) -> str:
    return _base64(hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
