"""The init scripts under busybox: what procd is asked for, and what the agent finds."""

import dataclasses
import json
import os
import re
import stat
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.openwrt.router import UID, Router
from tests.until import until
from titik_agent import config
from titik_agent.limits import MAX_PROBE_MEMORY

pytestmark = pytest.mark.system

FEED = Path(__file__).parents[2] / "deploy/openwrt/titik-agent"
ENROLLED = """
config agent 'main'
	option router 'tirosa-1'
config broker 'broker'
	option host 'mqtt.example'
"""
EVERYTHING = """
config agent 'main'
	option enabled '1'
	option router 'tirosa-1'
	option interval_s '60'
	option clock 'trusted'
config broker 'broker'
	option host 'mqtt.example'
	option port '8884'
	option tls '1'
	option compress '1'
	option ca_file '/etc/titik/ca.crt'
	option cert_file '/etc/titik/router.crt'
	option key_file '/etc/titik/router.key'
	option password 'a"b\\c $(reboot) `id`'
config spool 'spool'
	option limit_bytes '2000000'
	option persist_dir '/etc/elsewhere'
config interfaces 'interfaces'
	option uplink 'wan'
	list lan 'br-lan'
	list lan 'br-guest'
config sources 'sources'
	option hostapd 'ubus'
	list lease_files '/tmp/dhcp.leases'
config reach 'reach'
	list targets '1.1.1.1:443'
	list names '*.example'
	option every_s '30'
config probe 'probe'
	list targets '192.0.2.1'
	option max_age_s '600'
"""


def toml(router: Router) -> dict[str, Any]:
    """What the init script wrote for the agent."""
    return tomllib.loads((router.root / "var/run/titik-agent/agent.toml").read_text())


def params(reported: list[list[str]]) -> dict[str, list[str]]:
    return {one[0]: one[1:] for one in reported}


def test_a_new_router_starts_nothing_and_says_why(router: Router) -> None:
    """A crash loop of Python would cost it more than the agent."""
    assert [["trigger", "titik-agent"]] == router.service("titik-agent")
    assert "not enrolled" in router.log()


def test_procd_is_reported_all_it_needs(router: Router) -> None:
    """For ever, with a watchdog, as its own user, with no right at all."""
    router.uci(ENROLLED)
    router.ujail()
    assert {
        "open": ["agent"],
        "command": ["/usr/bin/titik-agent", "run", "--config", "/var/run/titik-agent/agent.toml"],
        "file": ["/var/run/titik-agent/agent.toml", "/var/run/titik-agent/password"],
        "respawn": ["3600", "5", "0"],
        "watchdog": ["1", "300"],
        "user": ["titik"],
        "group": ["titik"],
        "env": ["PYTHONUNBUFFERED=1"],
        "stdout": ["1"],
        "stderr": ["1"],
        "term_timeout": ["10"],
        "limits": ["core=0 0", "nofile=256 256"],
        "jail": ["titik-agent"],
        "capabilities": ["/etc/capabilities/titik-agent.json"],
        "no_new_privs": ["1"],
        "close": [],
        "trigger": ["titik-agent"],
    } == params(router.service("titik-agent"))
    rights = json.loads((router.root / "etc/capabilities/titik-agent.json").read_text())
    assert {"bounding", "effective", "ambient", "permitted", "inheritable"} == rights.keys()
    assert not any(rights.values())


def test_small_images_run_without_a_jail(router: Router) -> None:
    """As the user all the same."""
    router.uci(ENROLLED)
    reported = params(router.service("titik-agent"))
    assert (["titik"], False, False) == (
        reported["user"],
        "jail" in reported,
        "capabilities" in reported,
    )


def test_the_least_configuration_is_accepted(router: Router) -> None:
    """By the agent itself; the spool is in RAM, and what outlives a power cut on flash."""
    router.uci(ENROLLED)
    router.service("titik-agent")
    read = config.load(str(router.root / "var/run/titik-agent/agent.toml"))
    assert ("tirosa-1", "mqtt.example", "titik-agent") == (
        read.router,
        read.broker.host,
        read.watchdog,
    )
    assert ("/var/run/titik-agent/spool", "/etc/titik/spool") == (
        read.spool.directory,
        read.spool.persist_dir,
    )


def test_every_key_of_the_agent_can_be_set(router: Router) -> None:
    """As the operator wrote it, whatever the characters; and nobody else reads it."""
    router.uci(EVERYTHING)
    router.service("titik-agent")
    assert {
        "router": "tirosa-1",
        "interval_s": 60,
        "clock": "trusted",
        "watchdog": "titik-agent",
        "broker": {
            "host": "mqtt.example",
            "port": 8884,
            "tls": True,
            "compress": True,
            "ca_file": "/etc/titik/ca.crt",
            "cert_file": "/etc/titik/router.crt",
            "key_file": "/etc/titik/router.key",
            "password_file": "/var/run/titik-agent/password",
        },
        "spool": {
            "directory": "/var/run/titik-agent/spool",
            "limit_bytes": 2000000,
            "persist_dir": "/etc/elsewhere",
        },
        "interfaces": {"uplink": "wan", "lan": ["br-lan", "br-guest"]},
        "sources": {"hostapd": "ubus", "lease_files": ["/tmp/dhcp.leases"]},
        "reach": {"targets": ["1.1.1.1:443"], "names": ["*.example"], "every_s": 30},
        "probe": {
            "result_file": "/var/run/titik-agent/probe/result.json",
            "targets": ["192.0.2.1"],
            "max_age_s": 600,
        },
    } == toml(router)
    config.load(str(router.root / "var/run/titik-agent/agent.toml"))
    secret = router.root / "var/run/titik-agent/password"
    assert 'a"b\\c $(reboot) `id`\n' == secret.read_text()
    for file in (secret, secret.parent / "agent.toml"):
        was = file.stat()
        assert (0o600, UID, UID) == (stat.S_IMODE(was.st_mode), was.st_uid, was.st_gid)


def test_the_state_is_written_where_a_page_shows_it(router: Router) -> None:
    """In a folder that is the agent's; where LuCI's application is missing, nothing is."""
    router.uci(ENROLLED)
    router.service("titik-agent")
    assert "state_file" not in toml(router)
    menu = router.root / "usr/share/luci/menu.d/luci-app-titik.json"
    menu.parent.mkdir(parents=True)
    menu.touch()
    router.service("titik-agent", "reload")
    assert "/var/run/titik-agent/state/agent.json" == toml(router)["state_file"]
    was = (router.root / "var/run/titik-agent/state").stat()
    assert (UID, UID, 0o700) == (was.st_uid, was.st_gid, stat.S_IMODE(was.st_mode))


def test_root_writes_where_only_root_may(router: Router) -> None:
    """Else a link that the agent put there would lead it to any file."""
    router.uci(ENROLLED)
    router.service("titik-agent")
    owners = {
        name: (router.root / name).stat().st_uid
        for name in (
            "var/run/titik-agent", "var/run/titik-agent/spool", "var/run/titik-agent/probe",
            "etc/titik", "etc/titik/spool",
        )
    }  # fmt: skip
    assert [0, UID, UID, 0, UID] == list(owners.values())


def test_a_key_from_before_the_package_is_handed_over(router: Router) -> None:
    """As after a firmware upgrade with another list of users."""
    key = router.root / "etc/titik/router.key"
    key.write_text("key")
    key.chmod(0o600)
    router.uci(ENROLLED)
    router.service("titik-agent")
    assert (UID, 0o100600) == (key.stat().st_uid, key.stat().st_mode)


def test_every_key_of_the_agent_is_known_to_the_init_script() -> None:
    """Or is one that the script sets by itself."""
    script = (FEED / "files/etc/init.d/titik-agent").read_text()
    asked = set(re.findall(r"^\t+(?:text|texts|number|flag) (\w+) (\w+)", script, re.M))
    tables: dict[str, type[Any]] = {
        "main": config.Config, "broker": config.Broker, "spool": config.Spool,
        "interfaces": config.Interfaces, "sources": config.Sources, "reach": config.Reach,
        "probe": config.Probe,
    }  # fmt: skip
    wanted = {
        (section, key)
        for section, table in tables.items()
        for key in (one.name for one in dataclasses.fields(table))
        if key not in tables and key not in ("watchdog", "state_file", "upgrade_dir")
    }
    assert wanted == asked


@pytest.mark.parametrize(("given", "packs"), [(None, None), ("0", False), ("1", True)])
def test_a_switch_that_is_not_set_is_not_off(
    router: Router, given: str | None, packs: bool | None
) -> None:
    """The agent decides by itself then; off is what the operator wrote."""
    router.uci(ENROLLED + (f"\toption compress '{given}'\n" if given else ""))
    router.service("titik-agent")
    assert packs is toml(router)["broker"].get("compress")


def test_a_wrong_number_reaches_the_agents_own_check(router: Router) -> None:
    """Which names the field and what it may be."""
    router.uci(ENROLLED.replace("'tirosa-1'", "'tirosa-1'\n\toption interval_s '30s'"))
    router.service("titik-agent")
    with pytest.raises(config.ConfigError, match="interval_s: '30s' must be a whole number"):
        config.load(str(router.root / "var/run/titik-agent/agent.toml"))


def test_it_can_be_switched_off(router: Router) -> None:
    """And a password that was taken away is gone."""
    router.uci(EVERYTHING)
    router.service("titik-agent")
    router.uci(ENROLLED)
    router.service("titik-agent")
    assert not (router.root / "var/run/titik-agent/password").exists()
    router.uci(ENROLLED.replace("'tirosa-1'", "'tirosa-1'\n\toption enabled '0'"))
    assert [["trigger", "titik-agent"]] == router.service("titik-agent")


def test_no_secret_is_reported_to_procd(router: Router) -> None:
    """Arguments and environment are there for every user to see."""
    router.uci(EVERYTHING)
    assert "reboot" not in str(router.service("titik-agent"))


def test_the_probe_has_one_right_and_the_rest_of_the_time(router: Router) -> None:
    """Raw sockets; forwarding comes first."""
    router.uci(EVERYTHING)
    router.ujail()
    router.service("titik-agent")
    reported = params(router.service("titik-agent-probe"))
    assert ["/usr/bin/titik-agent", "probe"] == reported["command"][:2]
    assert (["titik"], ["15"], ["1"], ["titik-agent-probe"]) == (
        reported["user"],
        reported["nice"],
        reported["no_new_privs"],
        reported["jail"],
    )
    assert f"as={MAX_PROBE_MEMORY} {MAX_PROBE_MEMORY}" in reported["limits"]
    rights = json.loads((router.root / reported["capabilities"][0][1:]).read_text())
    assert [["CAP_NET_RAW"]] * 5 == list(rights.values())


def test_the_probe_stays_away_from_small_routers(router: Router) -> None:
    """And from images that cannot give it its one right alone."""
    router.uci(ENROLLED)
    router.service("titik-agent")
    assert [] == router.service("titik-agent-probe")
    assert "procd-ujail is not installed" in router.log()
    router.ujail()
    (router.root / "proc/meminfo").write_text("MemTotal:         120000 kB\n")
    assert [] == router.service("titik-agent-probe")
    assert "120000 kB of memory" in router.log()


@pytest.mark.parametrize(
    ("action", "stratum", "marked"),
    [
        ("unsync", "16", False),
        ("periodic", "16", False),  # it is still searching
        ("stratum", "3", True),
        ("step", "16", True),
        ("periodic", "3", True),  # set before the package came
    ],
)
def test_ntp_says_when_the_clock_is_right(
    router: Router, action: str, stratum: str, marked: bool
) -> None:
    """Not while it is searching; what ntpd says and how is in its own script's environment."""
    script = "/etc/hotplug.d/ntp/50-titik-agent"
    router.shell("ash", "-c", f". {script}", ACTION=action, stratum=stratum)
    assert marked == (router.root / "var/run/titik-agent/clock_ok").exists()


def test_check_stops_the_service_meanwhile(router: Router) -> None:
    """Two agents of one name would put each other out; it is started again whatever came of it."""
    router.uci(ENROLLED)
    router.program("usr/bin/titik-agent", 'printf "ran\\t%s\\t\\n" "$*" >>/tmp/procd')
    reported = router.root / "tmp/procd"
    reported.write_text("")
    reported.chmod(0o666)
    router.says("/etc/init.d/titik-agent", "check")
    config = "--config /var/run/titik-agent/"
    assert [
        ["ran", f"check --config-only {config}.agent.toml"],
        ["stop", "titik-agent"],
        ["ran", f"check {config}agent.toml"],
        ["open", "agent"],
    ] == router.calls()[:4]


def test_a_check_for_a_page_goes_on_in_the_background(router: Router) -> None:
    """rpcd ends a command after half a minute, and would leave the service stopped."""
    router.uci(ENROLLED)
    waits = "echo ran; until [ -e /tmp/go ]; do sleep 0.05; done"
    router.program("usr/bin/titik-agent", f"case $* in *only*) ;; *) {waits} ;; esac")
    file = router.root / "var/run/titik-agent/check.txt"
    router.service("titik-agent")
    for _ in range(2):  # the second finds the first, whose lines are the answer
        router.says("/etc/init.d/titik-agent", "check_later")
        assert "ran\n" == until(file.read_text, "ran\n")
    assert router.running("titik-agent") is None
    (router.root / "tmp/go").touch()
    assert "ran\nend 0\n" == until(file.read_text, "ran\nend 0\n")
    assert router.running("titik-agent")
    assert (0, 0o600) == (file.stat().st_uid, stat.S_IMODE(file.stat().st_mode))


def test_a_check_that_has_ended_is_not_taken_for_the_next(router: Router) -> None:
    """Its number may be another process's by then."""
    router.uci(ENROLLED)
    router.program("usr/bin/titik-agent", "case $* in *only*) ;; *) echo ran ;; esac")
    folder = router.root / "var/run/titik-agent"
    router.service("titik-agent")
    (folder / "check.txt").write_text("old\nend 0\n")
    (folder / "check.pid").write_text(f"{os.getpid()}\n")
    router.says("/etc/init.d/titik-agent", "check_later")
    assert "ran\nend 0\n" == until((folder / "check.txt").read_text, "ran\nend 0\n")


def test_check_is_the_services_own_user(router: Router) -> None:
    """With its groups: what root may read, and may ask ubusd, says nothing of the service."""
    router.uci(ENROLLED)
    group = router.root / "etc/group"
    group.write_text(group.read_text() + "sensors:x:500:titik\n")
    router.program("usr/bin/titik-agent", "id -u; id -g; id -G")
    output = router.says("/etc/init.d/titik-agent", "check").split()
    assert [str(UID), str(UID), {str(UID), "500"}] == [*output[:2], set(output[2:])]


def test_one_sample_is_the_services_own_users_too(router: Router) -> None:
    """And nothing is stopped for it."""
    router.uci(ENROLLED)
    router.program("usr/bin/titik-agent", 'echo "$(id -u) $*"')
    router.service("titik-agent")
    output = router.says("/etc/init.d/titik-agent", "once")
    assert f"{UID} once --config /var/run/titik-agent/agent.toml\n" == output
    assert "stop" not in [one[0] for one in router.calls()]


def test_a_check_of_a_router_that_is_not_enrolled_says_so(router: Router) -> None:
    """To whoever typed it, not only to the log; and the service is left as it was."""
    done = router.shell("sh", "/etc/rc.common", "/etc/init.d/titik-agent", "check")
    assert (1, True) == (done.returncode, done.stdout.startswith("FAIL  config: not enrolled"))
    assert "stop" not in [one[0] for one in router.calls()]


def test_a_check_starts_nothing_that_is_switched_off(router: Router) -> None:
    """Though it tries every step."""
    router.uci(ENROLLED.replace("'tirosa-1'", "'tirosa-1'\n\toption enabled '0'"))
    router.program("usr/bin/titik-agent", "echo checked")
    assert "checked\n" == router.says("/etc/init.d/titik-agent", "check")
    assert router.running("titik-agent") is None


@pytest.mark.parametrize("signal", ["HUP", "INT", "TERM"])
def test_a_check_that_is_interrupted_starts_the_service_again(router: Router, signal: str) -> None:
    """By the technician, or by the line that SSH came over."""
    router.uci(ENROLLED)
    router.program("usr/bin/titik-agent", f"kill -{signal} $PPID; exit 1")
    (router.root / "tmp/procd").unlink()
    router.shell("ash", "/etc/rc.common", "/etc/init.d/titik-agent", "check")
    assert ["stop", "open"] == [one[0] for one in router.calls() if one[0] in ("stop", "open")]


def test_the_access_list_names_what_the_agent_calls() -> None:
    """All of it, and nothing else."""
    listed = json.loads((FEED / "files/usr/share/acl.d/titik-agent.json").read_text())
    called: set[str] = set()
    for file in (FEED.parents[2] / "agent/titik_agent").rglob("*.py"):
        called |= set(re.findall(r'\.call\((?!EVENTS)\s*[\w.]+, "(\w+)"', file.read_text()))
    granted = {method for one in listed["access"].values() for method in one["methods"]}
    assert called == granted
    assert ("titik", ["hostapd.*"], ["ubus.object.*"]) == (
        listed["user"],
        listed["subscribe"],
        listed["listen"],
    )


def files(router: Router) -> set[str]:
    """Everything that outlives a reboot, and what is in RAM under /var."""
    every = {f"/{path.relative_to(router.root)}" for path in router.root.rglob("*")}
    return {path for path in every if not path.startswith(("/tmp/", "/dev/"))}


KEYS = ("/etc/titik/ca.crt", "/etc/titik/router.crt", "/etc/titik/router.key")


def in_use(router: Router) -> None:
    """Enrolled, with what the agent, the probe and NTP leave behind."""
    router.uci(ENROLLED.replace("'mqtt.example'", "'mqtt.example'\n\toption password 'x'"))
    router.ujail()
    for key in KEYS:
        (router.root / key[1:]).write_text("a key")
    for name in ("titik-agent", "titik-agent-probe"):
        router.service(name)
    for name in (
        "etc/titik/spool/spool",
        "var/run/titik-agent/spool/1.seg",
        "var/run/titik-agent/probe/result.json",
        "var/run/titik-agent/clock_ok",
    ):
        (router.root / name).write_text("left")  # fmt: skip


def test_uninstalling_leaves_nothing_but_the_configuration(
    packages: list[Path], tmp_path: Path
) -> None:
    """Settings and keys; and ubusd forgets the access list."""
    router = Router(tmp_path / "router")
    router.ujail()
    before = files(router)
    for package in packages:
        router.install(package)
    in_use(router)
    (router.root / "tmp/killed").unlink()
    router.says("opkg", "remove", "titik-agent-probe", "titik-agent")
    kept = {"/etc/config/titik-agent", "/etc/titik", *KEYS}
    assert kept == files(router) - before
    assert set() == before - files(router)
    assert (router.root / "tmp/killed").read_text().endswith("-HUP ubusd\n")


def test_an_upgrade_keeps_what_is_the_routers_own(router: Router, packages: list[Path]) -> None:
    """Settings, keys, the user, and what is spooled."""
    in_use(router)
    before = files(router)
    settings = router.says("uci", "show", "titik-agent").splitlines()
    router.install(packages[0])
    assert before | {"/etc/config/titik-agent-opkg"} == files(router)
    assert set(settings) < set(router.says("uci", "show", "titik-agent").splitlines())
    assert ["a key"] * 3 == [(router.root / key[1:]).read_text() for key in KEYS]
    assert 1 == (router.root / "etc/passwd").read_text().count("\ntitik:")


def test_ubusd_is_woken_when_the_user_is_there(router: Router) -> None:
    """It looks the access list's user up when it reads the list, and only then."""
    assert "root titik -HUP ubusd\n" == (router.root / "tmp/killed").read_text()


def test_a_changed_password_restarts_the_agent(router: Router) -> None:
    """A reload compares the files that procd knows of; the other one is the same as before."""
    router.uci(EVERYTHING)
    first = watched(router)
    router.uci(EVERYTHING.replace("reboot", "other"))
    assert first[0] == watched(router)[0]
    assert first != watched(router)
    assert watched(router) == watched(router)


def watched(router: Router) -> list[str]:
    """The contents of the files whose change restarts the agent."""
    return [
        (router.root / one[1:]).read_text()
        for one in params(router.service("titik-agent", "reload"))["file"]
    ]


@pytest.mark.parametrize("tool", ["shellcheck -s dash -e SC3043", "shfmt -d -sr -s"])
def test_shell_is_clean(tool: str) -> None:
    """As OpenWrt's own checks want it; busybox has `local`."""
    scripts = [
        file
        for file in FEED.parent.rglob("*/**/*")
        if file.is_file() and file.read_bytes().startswith(b"#!/bin/sh")
    ]
    assert len(scripts) >= 3
    done = subprocess.run(
        [*tool.split(), *map(str, scripts)], capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stdout + done.stderr)
