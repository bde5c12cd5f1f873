"""LuCI's pages as packages: what lies where, and what an install changes."""

import os
import stat
from pathlib import Path

import pytest

from tests.openwrt.conftest import HOST
from tests.openwrt.router import Router, contents, control, members
from tests.openwrt.test_init import ENROLLED, toml
from tools import luci, openwrt_luci

pytestmark = pytest.mark.system

MAKERS = {"ipks": openwrt_luci.build_ipk, "apks": openwrt_luci.build_apk}
STATE = "/var/run/titik-agent/state/agent.json"


@pytest.fixture
def pages(tmp_path: Path) -> list[Path]:
    """As `make openwrt-ipk` builds them: the pages, then their translation."""
    return openwrt_luci.build_ipk(tmp_path / "ipk")


def test_they_are_what_luci_mk_makes(pages: list[Path]) -> None:
    """Names, places and modes; a view that is not there shows an empty page."""
    app, translation = (contents(members(one)["./data.tar.gz"]) for one in pages)
    assert {
        "./etc/uci-defaults/60-luci-app-titik",
        "./usr/share/luci/menu.d/luci-app-titik.json",
        "./usr/share/rpcd/acl.d/luci-app-titik.json",
        "./www/luci-static/resources/view/titik/settings.js",
        "./www/luci-static/resources/view/titik/status.js",
    } == app.keys()
    assert "Depends: libc, luci-base, titik-agent" in control(pages[0])
    catalogue = translation["./usr/lib/lua/luci/i18n/titik.id.lmo"]
    assert "Keadaan" == luci.read_lmo(catalogue)[luci.key_of("State")]
    assert "Depends: libc, luci-app-titik" in control(pages[1])


def test_the_same_sources_give_the_same_pages(pages: list[Path], tmp_path: Path) -> None:
    """Byte for byte."""
    again = openwrt_luci.build_ipk(tmp_path / "again")
    assert [one.read_bytes() for one in pages] == [one.read_bytes() for one in again]


@pytest.mark.parametrize("format_", MAKERS)
def test_an_install_shows_the_agent_at_once(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    """The agent writes its state from now on, rpcd reads the rights, and Indonesian is offered."""
    agents: list[list[Path]] = request.getfixturevalue(format_)
    monkeypatch.setenv("PATH", f"{HOST}:{os.environ['PATH']}")
    router = Router(tmp_path / "router", agents[0][0])
    router.uci(ENROLLED)
    router.uci("config internal 'languages'\n", "luci")
    router.program("etc/init.d/rpcd", 'echo "$*" >>/tmp/rpcd')
    router.service("titik-agent")
    before = router.starts("titik-agent")
    router.install(*MAKERS[format_](tmp_path / "pages"))
    assert STATE == toml(router)["state_file"]
    assert before + 1 == router.starts("titik-agent")
    assert "reload\n" == (router.root / "tmp/rpcd").read_text()
    assert "Bahasa Indonesia" in (router.root / "etc/config/luci").read_text()
    assert [] == list((router.root / "etc/uci-defaults").glob("*luci*"))
    view = router.root / "www/luci-static/resources/view/titik/status.js"
    assert 0o644 == stat.S_IMODE(view.stat().st_mode)


def test_the_makefile_is_one_of_luci_s_own_kind() -> None:
    """OpenWrt's index finds a package by its last line."""
    text = (luci.APPLICATION / "Makefile").read_text()
    assert [
        "include $(TOPDIR)/feeds/luci/luci.mk", "",
        "# call BuildPackage - OpenWrt buildroot signature",
    ] == text.splitlines()[-3:]  # fmt: skip
