"""mosquitto's password file, and the secrets it was made from.

Rule: a secret is readable by its owner alone from its first byte.
Rule: a file is replaced whole or not at all, so that a reload never meets half of one.
"""

import base64
import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

# The secrets are random, 192 bits: more rounds would only make a thousand reconnects slower.
ROUNDS = 101
_SALT_BYTES = 12
# Of a file that was cut the last line would pass for one, were lengths left open.
_HASH = r"\$7\$([1-9][0-9]{0,6})\$([A-Za-z0-9+/]{16})\$([A-Za-z0-9+/]{86}==)"
_LINE = re.compile(rf"([^:]+):({_HASH})")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a file is and what others may do with it; -1 leaves it to whoever writes."""

    uid: int
    gid: int
    mode: int


def hash_password(password: str, salt: bytes | None = None) -> str:
    """As mosquitto keeps it: `$7$rounds$salt$hash`, PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS)
    return f"$7${ROUNDS}${_base64(salt)}${_base64(digest)}"


def matches(password: str, hashed: str) -> bool:
    """Whether a line of the password file was made from this password."""
    found = re.fullmatch(_HASH, hashed)
    if found is None:
        return False
    salt = base64.b64decode(found[2])
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, int(found[1]))
    return secrets.compare_digest(_base64(digest), found[3])


def read_hashes(file: Path) -> dict[str, str]:
    """User and hash of every line; ValueError if one is none, or the last was cut."""
    hashes = {}
    text = file.read_bytes().decode()
    if text and not text.endswith("\n"):
        raise ValueError("its end is missing")
    for line in filter(None, text.splitlines()):
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"{line[:40]!r} is no line of a password file")
        hashes[found[1]] = found[2]
    return hashes


def write_hashes(file: Path, hashes: dict[str, str], owner: Owner) -> None:
    """Replace the password file."""
    replace_file(file, "".join(f"{user}:{hashes[user]}\n" for user in sorted(hashes)), owner)


def make_secret(file: Path) -> str:
    """A new random password in a new file."""
    password = secrets.token_urlsafe(24)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(password + "\n")
        opened.flush()
        os.fsync(opened.fileno())  # before its hash is in the password file
    return password


def read_secret(file: Path) -> str | None:
    """None if it is missing, or a power cut left nothing in it, or no text."""
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def replace_file(file: Path, text: str, owner: Owner) -> None:
    """Write the file beside its place, then put it there."""
    beside = file.with_name(f".{file.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
        opened.flush()
        os.fchown(opened.fileno(), owner.uid, owner.gid)
        os.fchmod(opened.fileno(), owner.mode)
        os.fsync(opened.fileno())
    beside.replace(file)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
