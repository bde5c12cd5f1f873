"""What routers log in with at a broker of ours: who has what, and how they get it.

Rule: a key is in its bundle alone. Where it was lost, another is made.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from titik_collector.broker_setup.broker_folder import BrokerError, BrokerFolder
from titik_collector.commands import broker_twin
from titik_collector.config.model import Config
from titik_collector.enrolment import bundle
from titik_collector.files.replace import replace_file

NONE, CERTIFICATE, REVOKED = "none", "certificate", "revoked"
PASSWORD, MISSING = "password", "missing"  # where there is no TLS


def broker_of(city: Config) -> BrokerFolder | None:
    """None: the broker is elsewhere."""
    return None if city.broker.directory is None else BrokerFolder.open(city.broker.directory)


def certifies(made: BrokerFolder | None) -> bool:
    """Whether routers have certificates; AuthorityError if none can be made or revoked."""
    if made is None or made.settings.host is None:
        return False
    made.check_first()
    made.authority.check()
    return True


def with_tls(city: Config) -> BrokerFolder:
    """The broker's folder, where routers have certificates; BrokerError."""
    made = BrokerFolder.of(city, "keys")
    if made.settings.host is None:
        raise BrokerError(
            f"{made.path}: is without TLS, so no router has a certificate;"
            f" titik broker init {made.path} --host NAME gives it one,"
            " and titik router remove NAME cuts a router off in any case"
        )
    made.check_first()
    return made


def credentials(made: BrokerFolder | None, names: Sequence[str]) -> dict[str, str]:
    """What each of the routers can log in with, in words."""
    if made is None:
        return dict.fromkeys(names, "-")
    if made.settings.host is not None:
        held = dict.fromkeys(names, NONE)
        for cert in made.authority.issued():
            if held.get(cert.router) in (NONE, REVOKED):
                held[cert.router] = REVOKED if cert.revoked else CERTIFICATE
        return held
    return {name: PASSWORD if made.password_file(name).exists() else MISSING for name in names}


def write_bundle(made: BrokerFolder, name: str) -> Path:
    """A new key in a new file; the file."""
    there = made.bundle_file(name)
    replace_file(there, new_bundle(made, name).text)
    return there


class NewBundle(NamedTuple):
    """What makes a machine the router, and the certificate in it."""

    text: str
    certificate: str  # PEM


def new_bundle(made: BrokerFolder, name: str) -> NewBundle:
    """A new key, which is nowhere else."""
    certificate, key = made.authority.certify_router(name)
    host = made.settings.host
    assert host is not None
    ca = made.authority.ca_pem
    text = bundle.of_router(name, host, made.ports.router, ca, certificate, key)
    made.succession.enrolled(name)
    return NewBundle(text, certificate)


def follow(made: BrokerFolder | None) -> None:
    """Its twins learn of what was changed."""
    if made is not None:
        broker_twin.follow(made)
