"""What a bundle and an image's first boot make of a router."""

import shutil
import stat
from pathlib import Path

import pytest

from tests.broker.enrolled import City
from tests.openwrt.router import UID, Router

pytestmark = pytest.mark.system

RECIPE = Path(__file__).parents[2] / "deploy/openwrt/image/80-hotspot"
# As `wifi config` and `config_generate` have made them by then.
SYSTEM = "config system\n\toption hostname 'OpenWrt'\n\toption timezone 'UTC'\n"
WIRELESS = """\
config wifi-device 'radio0'
	option disabled '1'
config wifi-iface 'default_radio0'
	option device 'radio0'
	option ssid 'OpenWrt'
config wifi-device 'radio1'
	option disabled '1'
config wifi-iface 'default_radio1'
	option device 'radio1'
	option ssid 'OpenWrt'
"""
# /etc/init.d/boot of OpenWrt.
FIRST_BOOT = 'cd /etc/uci-defaults; for file in $(ls); do (. "./$file") && rm -f "$file"; done'


@pytest.fixture
def bundle(city: City) -> Path:
    """Of tirosa-1."""
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    return city.folder / "broker/secrets/tirosa-1.sh"


def put(bundle: Path, router: Router) -> None:
    """Run it on the router, as the page says."""
    shutil.copy(bundle, router.root / "tmp")
    assert "tirosa-1 is set up" in router.shell("sh", f"/tmp/{bundle.name}").stdout


def state(router: Router) -> dict[str, tuple[str, int, int]]:
    """All that enrolling makes: content, mode and owner."""
    found = {}
    for path in [router.root / "etc/config/titik-agent", *(router.root / "etc/titik").iterdir()]:
        if path.is_file() and not path.is_symlink():
            was = path.stat()
            found[path.name] = (path.read_text(), stat.S_IMODE(was.st_mode), was.st_uid)
    return found


def test_a_bundle_sets_a_router_up(router: Router, bundle: Path) -> None:
    """Keys are the agent's own user's, settings root's; the service is started, now and at boot."""
    (router.root / "tmp/procd").unlink()
    put(bundle, router)
    assert {
        "titik-agent": (0o600, 0),
        "ca.crt": (0o644, UID),
        "router.crt": (0o644, UID),
        "router.key": (0o600, UID),
    } == {name: was[1:] for name, was in state(router).items()}
    assert "localhost\n" == router.says("uci", "get", "titik-agent.broker.host")
    assert ["stop", "open"] == [one[0] for one in router.calls() if one[0] in ("stop", "open")]
    assert (router.root / "etc/rc.d/S95titik-agent").exists()


def test_a_bundle_may_be_run_again(router: Router, bundle: Path) -> None:
    """It changes nothing then, and nothing that the operator has set in between."""
    put(bundle, router)
    router.says("uci", "set", "titik-agent.main.interval_s=60")
    router.says("uci", "commit", "titik-agent")
    before = state(router)
    put(bundle, router)
    assert before == state(router)


def test_a_rotated_bundle_replaces_the_key(router: Router, city: City, bundle: Path) -> None:
    """And nothing else."""
    put(bundle, router)
    before = state(router)
    city.says("router", "rotate", "tirosa-1")
    put(bundle, router)
    after = state(router)
    changed = {name for name, was in before.items() if was != after[name]}
    assert {"router.crt", "router.key"} == changed


def test_a_bundle_may_come_before_the_package(
    packages: list[Path], tmp_path: Path, bundle: Path
) -> None:
    """As after a firmware upgrade: the package takes what it finds."""
    router = Router(tmp_path / "router")
    put(bundle, router)
    router.install(packages[0])
    assert (0o600, UID) == state(router)["router.key"][1:]
    assert "open" in [one[0] for one in router.calls()]


def test_an_image_is_a_reporting_hotspot_at_its_first_boot(router: Router, bundle: Path) -> None:
    """Two files of the image do it: Wi-Fi and names of the site, and who the router is."""
    router.uci(SYSTEM, "system")
    router.uci(WIRELESS, "wireless")
    (router.root / "tmp/procd").unlink()
    defaults = router.root / "etc/uci-defaults"
    defaults.mkdir(exist_ok=True)
    shutil.copy(RECIPE, defaults / "80-hotspot")
    shutil.copy(bundle, defaults / "90-titik")
    router.says("sh", "-c", FIRST_BOOT)
    assert [] == list(defaults.iterdir())
    assert [] == router.calls()  # there is no uplink to check yet, and nothing to wait for
    shown = router.says("uci", "show", "wireless").splitlines()
    for radio in ("radio0", "radio1"):
        assert f"wireless.{radio}.disabled='0'" in shown
        assert f"wireless.{radio}.country='ID'" in shown
        assert f"wireless.default_{radio}.ssid='Kupang Free WiFi'" in shown
        assert f"wireless.default_{radio}.isolate='1'" in shown
    assert "tirosa-1\n" == router.says("uci", "get", "system.cfg1.hostname")
    assert (0o600, UID) == state(router)["router.key"][1:]
    router.says("/etc/rc.d/S95titik-agent", "start")
    assert ["agent"] == [one[1] for one in router.calls() if one[0] == "open"]
