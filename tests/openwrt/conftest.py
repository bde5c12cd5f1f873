"""Both packages of both formats, built once."""

import os
import shutil
from pathlib import Path

import pytest

from tests.broker import enrolled
from tests.broker.enrolled import City
from tests.openwrt.router import Router
from tools import matrix, openwrt_apk, openwrt_ipk
from tools.matrix import ROOT

HOST = Path(__file__).parent / "host"  # its apk writes down what it is asked to make


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """As `make openwrt-ipk` builds them: the agent's, then the probe's."""
    return openwrt_ipk.build(tmp_path_factory.mktemp("ipk"))


@pytest.fixture(scope="session")
def next_feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The feed of a later version, which has other code."""
    return later_feed(tmp_path_factory.mktemp("next"), "9")


def later_feed(copy: Path, before: str) -> Path:
    """Of a version with these digits before it."""
    for name in ("agent", "deploy"):
        ignore = shutil.ignore_patterns("__pycache__")  # others write into it meanwhile
        shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    shutil.copy(ROOT / "LICENSE", copy)
    version = copy / "agent/titik_wire/__init__.py"
    version.write_text(version.read_text().replace('__version__ = "', f'__version__ = "{before}'))
    return copy / "deploy/openwrt/titik-agent"


@pytest.fixture(scope="session")
def ipks(
    packages: list[Path], next_feed: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[list[Path]]:
    """What opkg takes: this version, and the next."""
    return [packages, openwrt_ipk.build(tmp_path_factory.mktemp("next-ipk"), next_feed)]


@pytest.fixture(scope="session")
def apks(next_feed: Path, tmp_path_factory: pytest.TempPathFactory) -> list[list[Path]]:
    """What apk takes: this version, and the next."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{HOST}:{os.environ['PATH']}")
        return [
            openwrt_apk.build(tmp_path_factory.mktemp("apk"), feed)
            for feed in (openwrt_ipk.FEED, next_feed)
        ]


@pytest.fixture(params=["ipks", "apks"])
def kind(request: pytest.FixtureRequest) -> str:
    """Of 24.10, and of 25.12."""
    return str(request.param)


@pytest.fixture
def versions(request: pytest.FixtureRequest, kind: str) -> list[list[Path]]:
    """Agent and probe of this version, and of the next."""
    found: list[list[Path]] = request.getfixturevalue(kind)
    return found


@pytest.fixture(scope="session")
def installed(packages: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Router:
    """With both packages, not enrolled; to be copied."""
    return Router(tmp_path_factory.mktemp("installed") / "router", *packages)


@pytest.fixture
def router(tmp_path: Path, installed: Router) -> Router:
    """With both packages, not enrolled."""
    return installed.copied(tmp_path / "router")


@pytest.fixture(scope="session")
def python() -> str:
    """Python 3.11 with the libraries that 23.05 and 24.10 ship."""
    return _with_libraries("3.11-old")


@pytest.fixture(scope="session")
def python_25() -> str:
    """Python 3.13 with the libraries that 25.12 ships."""
    return _with_libraries("3.13-old")


def _with_libraries(name: str) -> str:
    every = matrix.environments(matrix.interpreters())
    return str(matrix.install(next(one for one in every if name in one.name)))


@pytest.fixture
def city(tmp_path: Path) -> City:
    """A server with its own certificate authority."""
    return enrolled.made(tmp_path)
