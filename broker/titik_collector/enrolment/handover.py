"""What routers are to get of certificates and authorities, in a public file of the broker's folder.

    tls/handover.json

The collector sends it on. A witness proves the authorities to a router: it is a certificate of one
that the router trusts already, for a name that follows from their edition and from each of them.

Rule: nothing of it is secret. A witness is for that name alone, so its key opens nothing.
Rule: the edition rises with each change of the authorities, and is in every witness. So one of
before brings no forgotten authority back.
"""

import base64
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from titik_collector.files.replace import Owner, replace_file

FILE = "handover.json"  # in tls


class Voucher(NamedTuple):
    """Of one authority, all in base64 of DER."""

    by: str  # the authority's fingerprint
    certificate: str
    key: str


class Handout(NamedTuple):
    """What one router gets besides."""

    router: str
    certificate: str | None  # signed again; None: the one it has stays
    its_print: str | None


class Handover(NamedTuple):
    """Certificates and authorities are base64 of DER."""

    edition: int
    authorities: tuple[str, ...]  # that every router is to trust
    prints: tuple[str, ...]  # their fingerprints, in the same order
    vouchers: tuple[Voucher, ...]
    handouts: Mapping[str, Handout]  # by router; who has it all already is not among them


class RouterLogin(NamedTuple):
    """What a router reports of its certificate and its authorities."""

    certificate: str | None  # its fingerprint
    authorities: frozenset[str]  # their fingerprints
    is_kept: bool = True  # False: in memory alone, so its next start brings back what was installed


def uses(login: RouterLogin, handout: Handout, prints: Collection[str]) -> bool:
    """Whether a router uses all that it was to get."""
    is_its = handout.its_print in (None, login.certificate)
    return is_its and login.authorities == frozenset(prints)


def has(login: RouterLogin, handout: Handout, prints: Collection[str]) -> bool:
    """Whether it also keeps it."""
    return login.is_kept and uses(login, handout, prints)


def encoded(der: bytes) -> str:
    """As it travels."""
    return base64.b64encode(der).decode()


def written_ns(folder: Path) -> int | None:
    """When it was written; None: there is none."""
    try:
        return (folder / "tls" / FILE).stat().st_mtime_ns
    except OSError:
        return None


def read(folder: Path) -> Handover | None:
    """None: nothing was ever handed over, or it cannot be read."""
    try:
        found = json.loads((folder / "tls" / FILE).read_text(encoding="utf-8"))
        return Handover(
            int(found["edition"]),
            tuple(found["authorities"]),
            tuple(found["prints"]),
            tuple(Voucher(*one) for one in found["vouchers"]),
            {one.router: one for one in (Handout(*each) for each in found["handouts"])},
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(folder: Path, made: Handover, readable: Owner) -> None:
    """In place of what was there."""
    plain = {**made._asdict(), "handouts": list(made.handouts.values())}
    replace_file(folder / "tls" / FILE, json.dumps(plain, indent=1) + "\n", readable)


def without(folder: Path, router: str, readable: Owner) -> None:
    """A router that got another key has all of it in its new file."""
    found = read(folder)
    if found is not None and router in found.handouts:
        left = {name: one for name, one in found.handouts.items() if name != router}
        write(folder, found._replace(handouts=left), readable)
