"""Both packages, built once."""

from pathlib import Path

import pytest

from tests.broker import enrolled
from tests.broker.enrolled import City
from tests.openwrt.router import Router
from tools import openwrt_ipk


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """As `make openwrt-ipk` builds them: the agent's, then the probe's."""
    return openwrt_ipk.build(tmp_path_factory.mktemp("ipk"))


@pytest.fixture
def router(tmp_path: Path, packages: list[Path]) -> Router:
    """With both packages, not enrolled."""
    made = Router(tmp_path / "router", *packages)
    made.uci((made.root / "etc/config/titik-agent").read_text())
    return made


@pytest.fixture
def city(tmp_path: Path) -> City:
    """A server with its own certificate authority."""
    return enrolled.made(tmp_path)
