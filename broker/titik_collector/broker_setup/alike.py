"""What two brokers of one city must have the same: users, roles, certificates and revocations.

Rule: it is what mosquitto goes by: its plugin's own file, and the files that it read last.
Rule: a line for each thing, so that what a broker lacks can be named. No line has a secret.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from titik_collector.access import rights
from titik_collector.access.passwords import matches, read_secret
from titik_collector.access.plugin_file import Access
from titik_collector.broker_setup.broker_folder import BrokerFolder
from titik_collector.limits import MAX_LISTED

FILES = ("ca.crt", "next.crt", "server.crt", "server.key", "crl.pem")  # of the folder tls
LATER = ("next.crt",)  # what a city may be without


class Holding(NamedTuple):
    """One thing that a broker has."""

    what: str  # in words
    how: str  # which must be the same


def account(made: BrokerFolder) -> frozenset[Holding]:
    """All of it; BrokerError or AuthorityError where something cannot be read."""
    return frozenset([*_users(made), *_certificates(made)])


def difference(has: Iterable[Holding], other: Iterable[Holding]) -> str | None:
    """What the other broker lacks or has beyond, in words; None: they are alike."""
    has, other = frozenset(has), frozenset(other)
    lacks = sorted({one.what for one in has - other})
    beyond = sorted({one.what for one in other - has} - set(lacks))
    parts = []
    if lacks:
        parts.append(f"lacks {_some(lacks)}")
    if beyond:
        parts.append(f"still has {_some(beyond)}")
    return " and ".join(parts) or None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more


def _users(made: BrokerFolder) -> Iterator[Holding]:
    known = Access(made.access_file.read_bytes()) if made.access_file.exists() else Access()
    for name in known.clients():
        how = f"{known.standing_of(name)} {_password(made, known, name)}"
        yield Holding(f"user {name}", how)
    for name, line in known.roles_and_rights():
        yield Holding(f"role {name}", line)


def _password(made: BrokerFolder, known: Access, name: str) -> str:
    """Whether it is the one that is kept in the folder, and which that is."""
    hashed = known.hash_of(name)
    if hashed is None:
        return "none"
    kept = read_secret(made.password_file(name))
    if kept is None or not matches(kept, hashed):
        return "another"
    # Each broker has a commanding password of its own, which never leaves it.
    return "its own" if name == rights.CONTROL else _hash(kept.encode())


def _certificates(made: BrokerFolder) -> Iterator[Holding]:
    for one in made.authority.issued():
        state = "revoked" if one.revoked else "good"
        yield Holding(f"certificate {one.serial:x} of router {one.router}", state)
    for name in FILES:
        file = made.path / "tls" / name
        yield Holding(f"tls/{name}", _hash(file.read_bytes()) if file.exists() else "missing")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
