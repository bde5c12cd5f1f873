"""Whose address a request comes from."""

import pytest

from titik_collector.accounts.client_address import client_address

TRUSTED = ("127.0.0.1/32", "10.0.0.0/8")


@pytest.mark.parametrize(
    ("peer", "lines", "expected"),
    [
        ("203.0.113.5", ["198.51.100.7"], "203.0.113.5"),  # no proxy of ours
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.5"], "203.0.113.5"),
        ("127.0.0.1", ["6.6.6.6, 203.0.113.5"], "203.0.113.5"),  # the first is the visitor's claim
        ("127.0.0.1", ["6.6.6.6", "203.0.113.5, 10.0.0.9"], "203.0.113.5"),
        ("127.0.0.1", ["10.0.0.9"], "10.0.0.9"),
        ("127.0.0.1", ["nonsense"], "127.0.0.1"),
        ("127.0.0.1", ["6.6.6.6, nonsense"], "127.0.0.1"),
        ("testclient", ["6.6.6.6"], "testclient"),
    ],
)
def test_a_header_counts_from_a_trusted_proxy_alone(
    peer: str, lines: list[str], expected: str
) -> None:
    """Read from its end, to the first address that no proxy of ours has."""
    assert expected == client_address(peer, lines, TRUSTED)
