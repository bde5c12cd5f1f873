"""Both packages, built once."""

from pathlib import Path

import pytest

from tests.broker import enrolled
from tests.broker.enrolled import City
from tests.openwrt.router import Router
from tools import matrix, openwrt_ipk


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """As `make openwrt-ipk` builds them: the agent's, then the probe's."""
    return openwrt_ipk.build(tmp_path_factory.mktemp("ipk"))


@pytest.fixture
def router(tmp_path: Path, packages: list[Path]) -> Router:
    """With both packages, not enrolled."""
    return Router(tmp_path / "router", *packages)


@pytest.fixture(scope="session")
def python() -> str:
    """Python 3.11 with the libraries that 23.05 and 24.10 ship."""
    old = next(one for one in matrix.environments(matrix.interpreters()) if "3.11-old" in one.name)
    return str(matrix.install(old))


@pytest.fixture
def city(tmp_path: Path) -> City:
    """A server with its own certificate authority."""
    return enrolled.made(tmp_path)
