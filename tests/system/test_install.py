"""`make install` on the Debian releases it is for, and what each unit does as its user."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.machine import ROOT, Machine, copy_clone, copy_first
from tools import chroots

pytestmark = [pytest.mark.system, pytest.mark.long]

CONFIG = """\
[city]
name = "kupang"
title = "Kupang"
timezone = "Asia/Makassar"
[broker]
directory = "/var/lib/titik/broker"
[store]
path = "/var/lib/titik/store/titik.db"
[[site]]
name = "taman-tirosa"
title = "Taman Tirosa"
"""
RECEIVER = """\
[[receiver]]
name = "it"
type = "folder"
folder = "/var/lib/titik/store/titik.db.notify/mail"
"""
DESK = """\
[[receiver]]
name = "desk"
type = "webhook"
url_file = "/etc/titik/desk.url"
"""
OLD = CONFIG.replace("/var/lib/titik/broker", "broker").replace("/var/lib/titik/store/", "")
TOML = "--config /etc/titik/titik.toml"
BROKER = "/var/lib/titik/broker"
_ASK = """
import http.client
asked = http.client.HTTPConnection('127.0.0.1', 8088)
asked.request('GET', '/')
print(asked.getresponse().status)
"""
ASK = f'/opt/titik/bin/python -c "{_ASK}"'
# While it is open; its folder is the notifier's, and others read in it.
OPEN = "stat -c '%U %G %a' /var/lib/titik/store/titik.db.notify/notify.db* || true"
COMMANDS = ("chmod", "chown", "mkdir", "mv", "sed", "systemctl", "titik")
# As in three terminals, until a sample is stored.
RUN_OLD = """
titik broker run broker & broker=$!
sleep 1; titik collect & collector=$!
titik-agent run & agent=$!
tries=0
until titik db check 2>/dev/null | grep -q "stored [1-9]"; do
    tries=$((tries + 1)); [ $tries -lt 100 ]; sleep 1
done
kill $agent; wait $agent; kill $collector; wait $collector; kill $broker; wait $broker
"""


@pytest.fixture(params=sorted(chroots.PYTHONS))
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """A release with a clone of this repository in /root/titik; gone afterwards, as it is large."""
    made = Machine(tmp_path / "machine", request.param)
    copy_clone(made, "/root/titik")
    made.start()
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.path)


def install_units(machine: Machine, output: str) -> None:
    """By the line that init printed; there is no systemd to start them."""
    (line,) = [one[9:] for one in output.splitlines() if one.startswith("install:")]
    machine.says(line.replace(" --now", ""))


def enrolled(machine: Machine) -> None:
    """A city whose router is this machine itself."""
    machine.says(f"titik router add tirosa-1 --site taman-tirosa {TOML}")
    machine.says("sh /var/lib/titik/broker/secrets/tirosa-1.sh")
    machine.says("printf '[sources]\\nhostapd = \"off\"\\n' >>/etc/titik/agent.toml")


def reports(machine: Machine, before: int = 0, receivers: int = 1) -> None:
    """The city's units run, each as its user, until more samples are stored than before."""
    with machine.service("titik-broker.service") as broker:
        check = f"titik broker check {BROKER} || true"  # it fails until the broker runs
        broker.until(lambda: "does not run" not in machine.says(check))
        with machine.service("titik-collector.service") as collector:
            with machine.service("titik-agent.service") as agent:
                agent.until(lambda: stored(machine) > before)
                machine.says(f": >{BROKER}/tls/crl.pem")  # damaged, so it is due
                # Its session would wait for 30 s, in which mosquitto crashes on this.
                with machine.service("titik-renew.service") as renewal:
                    assert "the running broker has read it" in renewal.ends()
            assert "WARNING" not in agent.wrote
            shows(machine)
            delivers(machine, receivers)
        with machine.service("titik-backup.service") as backup:
            assert "configuration, broker and store" in backup.ends()
        with machine.service("titik-backup-verify.service") as look:
            assert "is whole" in look.ends()
    assert "WARNING" not in collector.wrote


def shows(machine: Machine) -> None:
    """The page reads the store as its own user, and closes with the user that root adds."""
    with machine.service("titik-web.service") as page:
        page.until(lambda: "200" in machine.says(f"{ASK} || true"))
        machine.says(f"titik web user add budi --generate {TOML}")
        page.until(lambda: "401" in machine.says(f"{ASK} || true"))
        machine.says(f"titik web user remove budi {TOML}")
    assert "WARNING" not in page.wrote


def delivers(machine: Machine, receivers: int) -> None:
    """The notifier reads the store, hears the beat and writes its own folder, as its own user."""
    with machine.service("titik-notify.service") as notifier:
        notifier.until(lambda: 2 <= machine.says(OPEN).count("titik-notify titik 640\n"))
    assert f"notifier started receivers={receivers}\n" in notifier.wrote
    assert "WARNING" not in notifier.wrote


def stored(machine: Machine, check: str = f"titik db check {TOML}") -> int:
    """How many samples of routers are in the store; 0 while it is being made."""
    output = machine.says(f"{check} || true")
    found = re.match(r"samples taken \d+ = stored (\d+)", output)
    return int(found[1]) if found else 0


def test_every_unit_works_as_its_user(machine: Machine) -> None:
    """From a clone to a sample that is stored, renewed keys and a backup."""
    output = machine.says("make -C /root/titik install")
    assert "installed; next" in output
    assert "/usr/local/bin/titik" in machine.says("command -v titik")
    (machine.path / "etc/titik/titik.toml").write_text(CONFIG + RECEIVER)
    output = machine.says(f"titik broker init {BROKER} --host localhost {TOML}")
    assert "install:  systemctl link" in output
    install_units(machine, output)
    # Of a version before: an upgrade gives the city what looks into backups, and what ships.
    old = "titik-backup-verify.* titik-litestream.service"
    machine.says(f"cd /etc/systemd/system; rm {old}")
    machine.says(f"cd {BROKER}/systemd; rm {old}")
    machine.says("make -C /root/titik install")
    machine.says("test -L /etc/systemd/system/titik-backup-verify.timer")
    machine.says("test -L /etc/systemd/system/titik-litestream.service")
    machine.says("test -L /etc/systemd/system/timers.target.wants/titik-backup-verify.timer")
    assert "" == machine.says("systemd-analyze verify --man=no /etc/systemd/system/titik-*")
    enrolled(machine)
    reports(machine)
    restored(machine)
    reports(machine, receivers=2)
    removed(machine)
    assert "in the foreground" in machine.says(
        f"set -e; cd /root/titik; {readme()}; titik broker run -h"
    )


def restored(machine: Machine) -> None:
    """Another machine gets the city from a backup, by the lines that the command prints."""
    with (machine.path / "etc/titik/titik.toml").open("a") as city:
        city.write(DESK)
    machine.says(
        "set -e; cd /etc/titik; echo https://desk.example.org/ >desk.url; chmod 600 desk.url;"
        " chown titik-notify: desk.url"
    )
    machine.says(f"titik backup /root/city.tar.gz {TOML}")
    machine.says("rm -r /etc/titik/titik.toml /etc/titik/desk.url /var/lib/titik/*")
    machine.says("rm /etc/systemd/system/titik-[!a]*; rm /etc/systemd/system/*/titik-[!a]*")
    output = machine.says(f"titik restore --force /root/city.tar.gz {TOML}")
    given = re.findall(r"^for .*, as root: (.*)", output, re.MULTILINE)
    _, _, commands = output.partition("to have them, as root:\n")
    typed = [one for one in commands.splitlines() if one.startswith(COMMANDS)]
    install_units(machine, machine.says("set -e\n" + "\n".join([*given, *typed])))


def readme() -> str:
    """The lines by which README.md has anybody make an environment."""
    text = (ROOT / "README.md").read_text()
    (found,) = re.findall(r"```sh\n(python3 -m venv [^`]*server[^`]*)```", text)
    return str(found).strip()


def removed(machine: Machine) -> None:
    """The program goes with its units; the city stays, for another day."""
    assert "stay" in machine.says("make -C /root/titik uninstall")
    assert "" == machine.says("find /usr/local/bin /opt /etc/systemd -name 'titik*'")
    kept = machine.says(
        f"ls {BROKER}/ca/ca.key /var/lib/titik/store/titik.db /etc/titik/titik.toml"
    )
    assert 3 == len(kept.splitlines())
    assert "titik" in machine.says("getent passwd titik")


def test_an_earlier_installation_is_upgraded(machine: Machine) -> None:
    """One by pip in an environment of root's: what init says is typed, and the router goes on."""
    copy_first(machine, "/root/old")
    machine.says(
        "python3 -m venv /root/env && cd /root/old && /root/env/bin/pip install -q '.[collector]'"
    )
    (machine.path / "root/city").mkdir()
    (machine.path / "root/city/titik.toml").write_text(OLD)
    old = "PATH=/root/env/bin:$PATH; cd /root/city"
    machine.says(f"{old}; titik broker init broker --host localhost --config titik.toml")
    machine.says(
        f"{old}; titik router add tirosa-1 --site taman-tirosa; sh broker/secrets/tirosa-1.sh"
    )
    machine.says("printf '[sources]\\nhostapd = \"off\"\\n' >>/etc/titik/agent.toml")
    machine.says(
        "systemctl link /root/city/broker/systemd/*; systemctl enable titik-broker titik-collector"
    )
    machine.says(f"{old}; {RUN_OLD}")
    before = stored(machine, "cd /root/city; /root/env/bin/titik db check")
    assert before > 0
    machine.says("make -C /root/titik install; rm -r /root/env /root/old")
    output = machine.says("titik broker init /root/city/broker --config /root/city/titik.toml")
    assert (
        "User=" not in (machine.path / "root/city/broker/systemd/titik-broker.service").read_text()
    )
    _, _, commands = output.partition("first, as root:\n")
    typed = [one for one in commands.splitlines() if one.startswith(COMMANDS)]
    output = machine.says("set -e\n" + "\n".join(typed).replace(" --now", ""))
    install_units(machine, output)
    # The agent's settings are of before there was a service, and say nothing of its folders.
    machine.says("printf '[spool]\\ndirectory = \"/run/titik-agent\"\\n' >>/etc/titik/agent.toml")
    machine.says("chown -R titik: /etc/titik/*.key /etc/titik/agent.toml")
    with (machine.path / "etc/titik/titik.toml").open("a") as city:
        city.write(RECEIVER)
    reports(machine, before)


# One of the schema before; and the program that comes is another one than that.
OLDER = """
set -e; cd /root/titik; make install
mount -t tmpfs -o size=9m none /var/lib/titik/store
/opt/titik/bin/python -c "
from pathlib import Path
from titik_collector.store import sqlite
newest = sqlite.migrations('schema')[-1].number
sqlite.open_writer(Path('/var/lib/titik/store/titik.db'), newest - 1).close()"
mount -o remount,size=300k /var/lib/titik/store
echo 'IS_THE_NEXT = True' >>broker/titik_collector/__init__.py
"""
COMES = "grep -rq --include=*.py IS_THE_NEXT /opt"


@pytest.mark.parametrize("machine", ["bookworm"], indirect=True)  # the other does the same
def test_without_room_for_a_snapshot_no_program_is_replaced(machine: Machine) -> None:
    """The collector goes on, and the operator makes room or goes without."""
    machine.says(OLDER)
    (machine.path / "etc/titik/titik.toml").write_text(CONFIG)
    output = machine.says("make -C /root/titik install", status=2)
    machine.says(COMES, status=1)
    assert "an upgrade needs" in output
    assert "make install ARGS=--no-snapshot" in output
    machine.says("mount -o remount,size=9m /var/lib/titik/store")
    assert "a snapshot of" in machine.says("make -C /root/titik install")
    machine.says(f"{COMES}; test -s /var/lib/titik/store/titik.db.before-upgrade")
    assert "nothing to upgrade" in machine.says("make -C /root/titik install ARGS=--no-snapshot")
    assert "/opt/titik\n" == machine.says("ls -d /opt/titik*")
