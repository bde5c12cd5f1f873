"""What a router's file does to the settings of a plain Linux machine, under dash and busybox."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from titik_agent import config
from titik_collector.enrolment import bundle

KEYS = {
    "tls": True,
    "ca_file": "/etc/titik/ca.crt",
    "cert_file": "/etc/titik/router.crt",
    "key_file": "/etc/titik/router.key",
}
OURS = {"host": "new.example", "port": 8884, **KEYS}
SHELLS = (("sh",), pytest.param(("busybox", "sh"), marks=pytest.mark.system))
# What was there, and what is there after enrolling.
CASES = {
    "nothing": ("", {"router": "tirosa-1", "broker": OURS}),
    "a trial": (
        """\
# my machine
router = "old"
interval_s = 60

[broker]  # the city's
host = "broker.example"
password_file = "old.password"
compress = true

[sources]
hostapd = "off"
""",
        {
            "router": "tirosa-1",
            "interval_s": 60,
            "broker": OURS | {"compress": True},
            "sources": {"hostapd": "off"},
        },
    ),
    "keys with dots": (
        'interval_s = 60\nbroker.host = "old"\nspool.directory = "/srv"\nrouter="a"\n',
        {
            "router": "tirosa-1",
            "interval_s": 60,
            "broker": OURS,
            "spool": {"directory": "/srv"},
        },
    ),
    "another section's port": (
        "[spool]\ndirectory = '/srv'\n[reach]\n  targets = ['a:1']\n  every_s = 5",
        {
            "router": "tirosa-1",
            "broker": OURS,
            "spool": {"directory": "/srv"},
            "reach": {"targets": ["a:1"], "every_s": 5},
        },
    ),
}


def enrolled(root: Path, shell: tuple[str, ...] = ("sh",)) -> Path:
    """The settings after the bundle was run in another root directory."""
    text = bundle.of_router("tirosa-1", "new.example", 8884, "CA\n", "CERT\n", "KEY\n")
    (root / "tirosa-1.sh").write_text(text)
    env = {"PATH": os.environ["PATH"], "TITIK_ROOT": str(root)}
    done = subprocess.run([*shell, str(root / "tirosa-1.sh")], env=env, check=True, text=True,
                          capture_output=True)  # fmt: skip
    assert "" == done.stderr
    assert f"tirosa-1 is set up below {root}, for a machine that starts from there\n" == done.stdout
    return root / "etc/titik/agent.toml"


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("name", CASES)
def test_enrolling_again_keeps_the_settings(
    tmp_path: Path, name: str, shell: tuple[str, ...]
) -> None:
    """Name and broker are new; every other key stays as it was, however often."""
    before, after = CASES[name]
    file = tmp_path / "etc/titik/agent.toml"
    file.parent.mkdir(parents=True)
    if before:
        file.write_text(before)
    assert after == tomllib.loads(enrolled(tmp_path, shell).read_text())
    assert after == tomllib.loads(enrolled(tmp_path, shell).read_text())
    config.load(str(file))


KEPT = {"persist_dir": "/var/lib/titik-agent"}
# What was there on a machine with the service, and which spool it has after enrolling.
SPOOLS = {
    "nothing": ("", {"directory": "/run/titik-agent", **KEPT}),
    "a folder": ('[spool] # mine\ndirectory = "/srv"\n', {"directory": "/srv", **KEPT}),
    "a key with a dot": ('spool.directory = "/srv"\n[reach]\n', {"directory": "/srv", **KEPT}),
    "no spool": ("# persist_dir\ninterval_s = 60\n[reach]\nevery_s = 5\n", KEPT),
    "another disk": ('[spool]\npersist_dir = "/mnt"\n', {"persist_dir": "/mnt"}),
    "one line": ('spool = { directory = "/srv" }\n', {"directory": "/srv"}),
    "quotes": ('["spool"]\ndirectory = "/srv"\n', {"directory": "/srv"}),
}


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("name", SPOOLS)
def test_a_machine_with_the_service_keeps_what_it_is_sent_where_that_may_write(
    tmp_path: Path, name: str, shell: tuple[str, ...]
) -> None:
    """The spool is in RAM, and on the disk a long outage, and certificates; what was set stays."""
    unit = tmp_path / "etc/systemd/system/titik-agent.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    before, spool = SPOOLS[name]
    file = tmp_path / "etc/titik/agent.toml"
    file.parent.mkdir(parents=True)
    file.write_text(before)
    for _ in range(2):
        assert spool == tomllib.loads(enrolled(tmp_path, shell).read_text())["spool"]
    config.load(str(file))
