"""The feed's Makefile and test.sh, by the conventions of openwrt/packages."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.openwrt.field import equip
from tests.openwrt.router import Router
from tools import openwrt_ipk
from tools.matrix import ROOT
from tools.openwrt_ipk import FEED, PACKAGES

pytestmark = pytest.mark.system

TEST = FEED / "test.sh"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> openwrt_ipk.Built:
    """What GNU make reads in it."""
    return openwrt_ipk.Built(tmp_path_factory.mktemp("built"))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_whose_it_is(built: openwrt_ipk.Built, package: str) -> None:
    """Name, licence with its text, somebody to write to, and where it comes from."""
    assert FEED.name == built.says(package, "PKG_NAME")
    assert re.fullmatch(r"[^<>]+ <[^@\s]+@[^@\s]+>", built.says(package, "PKG_MAINTAINER"))
    assert built.says(package, "URL").startswith("https://")
    assert "Apache-2.0" == built.says(package, "PKG_LICENSE")
    for name in built.says(package, "PKG_LICENSE_FILES").split():
        assert (ROOT / name).read_bytes() == (built.folder / "build" / name).read_bytes()
    assert ("net", "Network", "all") == tuple(
        built.says(package, one) for one in ("SECTION", "CATEGORY", "PKGARCH")
    )


def test_who_publishes_gives_an_address_of_his_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the environment, for both packages."""
    monkeypatch.setenv("TITIK_MAINTAINER", "Kota Kupang <it@kupang.example>")
    monkeypatch.setenv("TITIK_URL", "https://kupang.example")
    built = openwrt_ipk.Built(tmp_path)
    assert [("Kota Kupang <it@kupang.example>", "https://kupang.example")] * 2 == [
        (built.says(one, "PKG_MAINTAINER"), built.says(one, "URL")) for one in PACKAGES
    ]


def test_a_change_of_the_agent_makes_the_package_again(built: openwrt_ipk.Built) -> None:
    """OpenWrt sums the Makefile's folder and these: they have every file that is packed."""
    places = [FEED, *map(Path, built.says("titik-agent", "PKG_FILE_DEPENDS").split())]
    watched = {file.resolve() for place in places for file in place.rglob("*")}
    packed = {ROOT / "agent" / one.relative_to(built.folder / "build")
              for one in (built.folder / "build").rglob("*.py")}  # fmt: skip
    assert len(packed) > 50
    assert set() == packed - watched


def test_it_says_why_there_is_no_source_to_load() -> None:
    """The conventions want PKG_SOURCE and PKG_HASH, or a reason."""
    assert "# No PKG_SOURCE and PKG_HASH: " in (FEED / "Makefile").read_text()


@pytest.fixture
def tested(router: Router, python: str, packages: list[Path]) -> Router:
    """With both packages and what the agent's depends on."""
    equip(router, python, packages[0])
    (router.root / "tmp/test.sh").write_bytes(TEST.read_bytes())
    return router


def test_the_packages_pass_their_own_test(tested: Router, built: openwrt_ipk.Built) -> None:
    """OpenWrt calls it with a name and a version, after the installation; another fails."""
    version = built.says("titik-agent", "PKG_VERSION")
    done = tested.shell("sh", "/tmp/test.sh", "titik-agent", version)
    assert (0, "") == (done.returncode, done.stderr)
    assert version in done.stdout
    assert tested.shell("sh", "/tmp/test.sh", "titik-agent", "99.0").returncode != 0
    assert tested.shell("sh", "/tmp/test.sh", "titik-agent-src", version).returncode == 0


def test_a_package_without_its_dependency_fails_its_test(
    tested: Router, built: openwrt_ipk.Built
) -> None:
    """paho is gone; the probe has no scapy here."""
    version = built.says("titik-agent", "PKG_VERSION")
    assert "scapy" in tested.shell("sh", "/tmp/test.sh", "titik-agent-probe", version).stderr
    (tested.root / "python/libraries/paho").unlink()
    assert "paho" in tested.shell("sh", "/tmp/test.sh", "titik-agent", version).stderr


def test_the_packages_are_of_one_version(built: openwrt_ipk.Built) -> None:
    """The agent's own, which `titik-agent --version` prints."""
    printed = subprocess.run(
        ["sed", "-n", 's/^__version__ = "\\(.*\\)"/\\1/p', "agent/titik_wire/__init__.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert {printed} == {built.says(one, "PKG_VERSION") for one in PACKAGES}
