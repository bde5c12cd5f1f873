"""The rule who may look without a login: whoever sits at an untouched demo, and nobody else.

Rule: as soon as one sign of more is there, everybody logs in. A proxy in front of the page makes
all the world come from loopback, and most proxies leave a sign.
"""

from collections.abc import Container
from dataclasses import dataclass

from titik_collector.config.page_tables import is_loopback

# What proxies add; one that adds none of it still speaks HTTP/1.0, or closes, as nginx does.
FORWARDING = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
    "x-client-ip",
)


@dataclass(frozen=True, slots=True)
class Setup:
    """What the configuration says of who reaches the page."""

    listens: str  # an address
    url: str | None
    trusted_proxies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What one request shows of its way."""

    host: str | None  # of the header
    headers: Container[str]  # their names, in lower case
    http: str  # the version, such as `1.1`
    closes: bool  # `Connection: close`


def needs_no_login(setup: Setup, facts: Facts, has_users: bool) -> bool:
    """Whether this request comes from the machine of an untouched demo."""
    return not has_users and is_untouched(setup) and is_direct(facts)


def is_untouched(setup: Setup) -> bool:
    """Nothing says that anybody but this machine is to reach the page."""
    return setup.url is None and not setup.trusted_proxies and is_loopback(setup.listens)


def is_direct(facts: Facts) -> bool:
    """From a browser on this machine to us, as far as a request shows it."""
    is_passed_on = any(name in facts.headers for name in FORWARDING)
    is_of_a_proxy = facts.http == "1.0" or facts.closes
    return is_loopback_host(facts.host) and not is_passed_on and not is_of_a_proxy


def is_loopback_host(host: str | None) -> bool:
    """Of a `Host` header, with or without a port; else a foreign name could point to us."""
    if not host:
        return False
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name = host
    elif not port.isdecimal():
        return False
    return is_loopback(name)
