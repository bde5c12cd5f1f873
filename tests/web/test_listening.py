"""Where the page cannot listen, it says why before it begins."""

from pathlib import Path

import pytest

from tests.not_root import nobody
from titik_collector.config.model import ConfigError
from titik_collector.web import serving

FILE = Path("titik.toml")
FIRST_FREE = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def test_an_address_of_another_machine_is_named() -> None:
    """With the key, and where to find one."""
    wrong = r"web.host: this machine has no address 203\.0\.113\.9; give one of"
    with pytest.raises(ConfigError, match=wrong):
        serving.check_port(FILE, "203.0.113.9", 8088)


def test_a_port_that_is_root_s_is_named() -> None:
    """Uvicorn would end with a status alone. Some containers have no such port."""
    first = int(FIRST_FREE.read_text())
    for port in range(max(1, first - 1), first):
        wrong = f"web.port: {port}: Permission denied; give one from 1024 on"
        with nobody(), pytest.raises(ConfigError, match=wrong):
            serving.check_port(FILE, "127.0.0.1", port)
