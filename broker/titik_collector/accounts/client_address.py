"""Whose address a request comes from, where proxies stand between.

Rule: a header is believed only from a proxy that the configuration trusts.
"""

import ipaddress
from collections.abc import Sequence


def is_trusted(address: str, trusted: Sequence[str]) -> bool:
    """Whether it is in one of the networks."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(one) for one in trusted)


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[str]) -> str:
    """The last address of X-Forwarded-For that no trusted proxy has; the peer's if it is none.

    `forwarded_for`: each line of the header.
    """
    if not is_trusted(peer, trusted):
        return peer
    hops = [one.strip() for line in forwarded_for for one in line.split(",") if one.strip()]
    nearest = peer
    for hop in reversed(hops):
        if not _is_address(hop):
            break
        nearest = hop
        if not is_trusted(hop, trusted):
            break
    return nearest


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
