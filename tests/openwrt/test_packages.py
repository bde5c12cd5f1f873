"""What opkg and apk make of a router: install, upgrade, downgrade and remove.

Both managers' scripts run under busybox's ash in their own order, with the real init scripts.
"""

from pathlib import Path

import pytest

from tests.openwrt.router import UID, Router

pytestmark = pytest.mark.system

SERVICES = ("titik-agent", "titik-agent-probe")
# As 0.1.0 shipped it, and then enrolled by hand.
FORMER = """\
config agent 'main'
	option enabled '1'
	option router 'tirosa-1'
	option interval_s '45'

config broker 'broker'
	option host 'mqtt.example'
"""
REMOVE = {"ipks": ("opkg", "remove"), "apks": ("apk", "del")}
NEW = {"ipks": "-opkg", "apks": ".apk-new"}


def reporting(folder: Path, packages: list[Path]) -> Router:
    """A router on which agent and probe run."""
    router = Router(folder)
    router.ujail()
    router.uci(FORMER)
    for package in packages:
        router.install(package)
    return router


def test_an_install_starts_both(versions: list[list[Path]], tmp_path: Path) -> None:
    """With the settings that were there; ubusd is informed, and the next boot starts them too."""
    router = reporting(tmp_path / "router", versions[0])
    assert {router.code()} == {router.running(one) for one in SERVICES}
    assert "-HUP ubusd\n" in (router.root / "tmp/killed").read_text()
    assert {"S95titik-agent", "S96titik-agent-probe"} <= {
        one.name for one in (router.root / "etc/rc.d").iterdir()
    }


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["upgrade", "downgrade"])
@pytest.mark.parametrize("which", [(0,), (0, 1)], ids=["agent", "both"])
def test_after_an_upgrade_the_new_code_runs(
    versions: list[list[Path]], tmp_path: Path, order: tuple[int, int], which: tuple[int, ...]
) -> None:
    """In the probe too, which runs the agent's code: to procd neither's definition has changed."""
    before, after = (versions[one] for one in order)
    router = reporting(tmp_path / "router", before)
    was = router.code()
    router.install(*(after[one] for one in which))
    assert was != router.code()
    assert {router.code()} == {router.running(one) for one in SERVICES}


def test_an_upgrade_of_the_probe_alone_restarts_it(
    versions: list[list[Path]], tmp_path: Path
) -> None:
    """And leaves the agent alone."""
    router = reporting(tmp_path / "router", versions[0])
    was = [router.starts(one) for one in SERVICES]
    router.install(versions[1][1])
    assert [0, 1] == [
        router.starts(one) - before for one, before in zip(SERVICES, was, strict=True)
    ]
    assert [True, True] == [router.running(one) is not None for one in SERVICES]


def test_what_an_operator_has_switched_off_stays_off(
    versions: list[list[Path]], tmp_path: Path
) -> None:
    """Whatever is upgraded."""
    router = reporting(tmp_path / "router", versions[0])
    router.says("uci", "set", "titik-agent.main.enabled=0")
    router.says("uci", "commit", "titik-agent")
    router.install(*versions[1])
    assert router.running("titik-agent") is None


def test_an_upgrade_keeps_settings_keys_and_spool(
    versions: list[list[Path]], tmp_path: Path, kind: str
) -> None:
    """Their owner and mode too; the settings of the new version lie beside."""
    router = reporting(tmp_path / "router", versions[0])
    (router.root / "etc/config/titik-agent").chmod(0o600)
    key, spool = (router.root / "etc/titik" / one for one in ("router.key", "spool/checkpoint"))
    for file in (key, spool):
        file.write_text("the router's own")
    router.install(*versions[1])
    assert ["the router's own"] * 2 == [one.read_text() for one in (key, spool)]
    assert UID == spool.parent.stat().st_uid
    settings = router.root / "etc/config/titik-agent"
    assert (0o600, 0) == (settings.stat().st_mode & 0o777, settings.stat().st_uid)
    assert "45\n" == router.says("uci", "get", "titik-agent.main.interval_s")
    assert settings.with_name(f"titik-agent{NEW[kind]}").exists()


def test_removing_leaves_settings_and_keys(
    versions: list[list[Path]], tmp_path: Path, kind: str
) -> None:
    """Nothing runs, nothing starts at the next boot, and no code is left."""
    router = reporting(tmp_path / "router", versions[0])
    (router.root / "etc/titik/router.key").write_text("the router's own")
    router.says(*REMOVE[kind], "titik-agent-probe", "titik-agent")
    assert [None, None] == [router.running(one) for one in SERVICES]
    left = {f"/{one.relative_to(router.root)}" for one in router.root.rglob("*titik*")}
    assert {"/etc/config/titik-agent", "/etc/titik"} == {
        one for one in left if not one.startswith("/tmp/")
    } - {f"/etc/config/titik-agent{NEW[kind]}"}
    assert ["router.key"] == [one.name for one in (router.root / "etc/titik").iterdir()]


@pytest.mark.parametrize("settings", ["", FORMER], ids=["shipped", "former"])
def test_every_section_is_there_to_be_set(
    versions: list[list[Path]], tmp_path: Path, settings: str
) -> None:
    """Also after an upgrade of a router whose settings lack them; those that it has stay."""
    router = Router(tmp_path / "router")
    if settings:
        router.uci(settings)
    router.install(versions[0][0])
    for section, kind in (
        ("main", "agent"), ("broker", "broker"), ("spool", "spool"),
        ("interfaces", "interfaces"), ("sources", "sources"), ("reach", "reach"),
        ("probe", "probe"),
    ):  # fmt: skip
        assert f"{kind}\n" == router.says("uci", "get", f"titik-agent.{section}")
    router.says("uci", "set", "titik-agent.spool.limit_bytes=2000000")
    kept = router.says("uci", "show", "titik-agent")
    assert ("titik-agent.main.interval_s='45'" in kept) == bool(settings)
    assert not (router.root / "etc/uci-defaults/60-titik-agent").exists()
