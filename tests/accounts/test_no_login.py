"""The rule who may look without a login."""

from dataclasses import replace

import pytest

from titik_collector.accounts.no_login import (
    FORWARDING,
    Facts,
    Setup,
    is_loopback_host,
    needs_no_login,
)

DEMO = Setup("127.0.0.1", None, ())
BROWSER = Facts("localhost:8088", ("host", "user-agent"), "1.1", closes=False)


def test_whoever_sits_at_an_untouched_demo_needs_no_login() -> None:
    """By any name of loopback."""
    assert needs_no_login(DEMO, BROWSER, has_users=False)


@pytest.mark.parametrize(
    "setup",
    [
        replace(DEMO, listens="0.0.0.0"),
        replace(DEMO, listens="192.168.1.5"),
        replace(DEMO, url="https://titik.example.org"),
        replace(DEMO, trusted_proxies=("127.0.0.1/32",)),
    ],
)
def test_whatever_lets_others_in_asks_for_a_login(setup: Setup) -> None:
    """An address of a network, an url, a proxy."""
    assert not needs_no_login(setup, BROWSER, has_users=False)


def test_the_first_user_ends_it() -> None:
    """There is somebody to log in."""
    assert not needs_no_login(DEMO, BROWSER, has_users=True)


@pytest.mark.parametrize(
    "facts",
    [
        replace(BROWSER, host="titik.example.org"),
        replace(BROWSER, host=None),
        replace(BROWSER, http="1.0"),
        replace(BROWSER, closes=True),
        *(replace(BROWSER, headers=("host", name)) for name in FORWARDING),
    ],
)
def test_a_sign_of_a_proxy_asks_for_a_login(facts: Facts) -> None:
    """A foreign name, a forwarding header, or what nginx does by itself."""
    assert not needs_no_login(DEMO, facts, has_users=False)


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("localhost", True), ("LOCALHOST:80", True), ("127.0.0.1", True), ("127.8.9.1:8088", True),
        ("[::1]", True), ("[::1]:8088", True), ("", False), (None, False),
        ("localhost.evil.example", False), ("127.0.0.1.evil.example:80", False),
        ("evil.example:127", False), ("127.0.0.1@evil.example", False), ("localhost:", False),
        ("0.0.0.0", False), ("localhost:80x", False), ("[::1", False), ("::1", False),
    ],
)  # fmt: skip
def test_a_host_is_a_name_of_this_machine(host: str | None, is_ours: bool) -> None:
    """With or without a port, and nothing that only begins or ends so."""
    assert is_ours == is_loopback_host(host)
