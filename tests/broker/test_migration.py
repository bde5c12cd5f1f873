"""From the version that gave mosquitto an ACL and a password file, back to it, and forth again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests import first
from tests.broker.besieged import SITE, Besieged
from tests.broker.enrolled import CONFIG, City, Router
from tests.broker.raw import plain, secure
from tests.broker.running import ROOT, RunningBroker
from tests.ports import free_ports
from titik_collector.cli import titik
from titik_wire import topics

pytestmark = pytest.mark.system

AGENTS = 20
LEFT = {"mosquitto.conf", "acl", "passwords"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The earlier version's code."""
    folder = tmp_path_factory.mktemp("former")
    first.unpack(folder)
    return folder


def with_(source: Path, *words: str) -> str:
    """What `titik` of that version prints."""
    path = os.pathsep.join([str(source / "agent"), str(source / "broker")])
    code = "from titik_collector.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout
    return done.stdout


def now(*words: str) -> str:
    """What `titik` of this version prints."""
    done = CliRunner().invoke(titik, list(words))
    assert 0 == done.exit_code, done.output
    return done.output


@pytest.fixture
def city(tmp_path: Path, source: Path) -> City:
    """As the earlier version makes it, with three routers and an engineer."""
    (tmp_path / "titik.toml").write_text(CONFIG)
    router, engineer, collector = map(str, free_ports(3))
    broker = str(tmp_path / "broker")
    with_(
        source, "broker", "init", broker, "--host", "localhost", "--listen", "127.0.0.1",
        "--engineer-listen", "127.0.0.1", "--port", router, "--engineer-port", engineer,
        "--collector-port", collector,
    )  # fmt: skip
    file = str(tmp_path / "titik.toml")
    for name in ("a-1", "b-1", "c-1"):
        with_(source, "router", "add", name, "--site", SITE, "--config", file)
    with_(source, "engineer", "add", "ina", "--config", file)
    made = City(tmp_path)
    for name in ("a-1", "b-1", "c-1"):
        made.enrol(name, tmp_path / name)
    return made


def kept(city: City) -> dict[str, bytes]:
    """What nobody may have to be given again: keys, certificates, passwords, bundles."""
    folder = city.folder / "broker"
    files = [one for name in ("secrets", "ca", "tls") for one in (folder / name).rglob("*")]
    return {
        str(one.relative_to(folder)): one.read_bytes()
        for one in files
        if one.is_file() and one.name not in ("crl.pem", "control")
    }


def is_in(city: City, name: str) -> bool:
    """Whether a router with its bundle may speak, and hear its ack."""
    keys = city.folder / name / "etc/titik"
    if not keys.exists():
        keys = city.enrol(name, city.folder / name)
    router = Router(keys, city.broker.ports.router, name)
    try:
        if not router.is_in():
            return False
        output: list[str] = []
        router._paho.on_publish = lambda *got: output.append(str(got[3]))
        router._paho.publish(topics.sample(name), b"x", 1).wait_for_publish(5)
        return output != ["Not authorized"]
    finally:
        router.close()


def reads(city: City, name: str) -> bool:
    """Whether an engineer's password opens the door."""
    with secure(city, city.broker.ports.engineer) as wire:
        return wire.connect("", name, city.broker.password(name)) == 0


def filters_are_refused(city: City) -> bool:
    """Whether a router is refused what it has no business with."""
    with secure(city, city.broker.ports.router, city.folder / "a-1/etc/titik") as wire:
        assert 0 == wire.connect("titik:a-1")
        return wire.subscribe("#") == 0x87


def test_an_init_and_a_restart_change_nothing_for_anybody(city: City, source: Path) -> None:
    """No key, certificate, password or bundle; between the two the former broker goes on."""
    before, broker = kept(city), RunningBroker(city.broker, source)
    with broker:
        assert is_in(city, "a-1")
        output = now("broker", "init", str(city.folder / "broker"))
        assert "mosquitto is running: start it again" in output
        assert "made passwords" not in output
        assert before == kept(city)
        assert is_in(city, "a-1")
        assert reads(city, "ina")
        assert not filters_are_refused(city)
        broker.stop()
        broker.source = ROOT
        broker.start()
        assert all(is_in(city, name) for name in ("a-1", "b-1", "c-1"))
        assert reads(city, "ina")
        assert filters_are_refused(city)
    assert before == kept(city)
    assert not LEFT & {one.name for one in (city.folder / "broker").iterdir()}


def test_a_restart_alone_is_enough(city: City, source: Path) -> None:
    """A package that was upgraded leaves no broker down, and none that is as it was."""
    before = kept(city)
    with RunningBroker(city.broker):
        assert is_in(city, "a-1")
        assert reads(city, "ina")
        assert filters_are_refused(city)
    del source
    assert before == kept(city)


def test_commands_before_the_restart_hold_for_both(city: City, source: Path) -> None:
    """Routers and engineers come and go at the broker that runs, and at the next."""
    broker = RunningBroker(city.broker, source)
    with broker:
        now("broker", "init", str(city.folder / "broker"))
        city.says("router", "add", "d-1", "--site", SITE)
        city.says("engineer", "add", "budi")
        leaving = city.broker.password("ina")
        output = city.says("router", "revoke", "b-1")
        assert "its session ends when the broker, which an earlier version began, is" in output
        city.says("router", "remove", "c-1")
        city.says("engineer", "remove", "ina")
        for _ in range(2):
            assert is_in(city, "d-1")
            assert reads(city, "budi")
            assert not is_in(city, "b-1")
            assert not is_in(city, "c-1")
            with secure(city, city.broker.ports.engineer) as wire:
                assert wire.connect("", "ina", leaving) != 0
            broker.stop()
            broker.source = ROOT
            broker.start()
    assert {"a-1", "d-1", "budi", "engineer", "collector"} == set(city.broker.users())


def test_the_former_version_takes_it_back_and_this_one_again(city: City, source: Path) -> None:
    """What was changed with either of them holds with the other."""
    file, folder = str(city.folder / "titik.toml"), str(city.folder / "broker")
    broker = RunningBroker(city.broker)
    with broker:
        city.says("router", "add", "d-1", "--site", SITE)
        city.says("engineer", "add", "budi")
        broker.stop()
        with_(source, "broker", "init", folder)
        broker.source = source
        broker.start()
        assert all(is_in(city, name) for name in ("a-1", "b-1", "c-1", "d-1"))
        assert reads(city, "ina")
        assert reads(city, "budi")
        with_(source, "router", "add", "e-1", "--site", SITE, "--config", file)
        with_(source, "router", "revoke", "b-1", "--config", file)
        with_(source, "engineer", "remove", "budi", "--config", file)
        now("broker", "init", folder)
        broker.stop()
        broker.source = ROOT
        broker.start()
        assert all(is_in(city, name) for name in ("a-1", "c-1", "d-1", "e-1"))
        assert not is_in(city, "b-1")
        assert filters_are_refused(city)
    assert {"a-1", "c-1", "d-1", "e-1", "ina", "engineer", "collector"} == set(city.broker.users())


def test_a_trial_keeps_its_passwords(tmp_path: Path, source: Path) -> None:
    """Of routers too, back and forth; who was removed meanwhile stays out."""
    file = tmp_path / "titik.toml"
    file.write_text(CONFIG)
    folder = str(tmp_path / "broker")
    router, engineer, collector = map(str, free_ports(3))
    with_(source, "broker", "init", folder, "--port", router, "--engineer-port", engineer,
          "--collector-port", collector)  # fmt: skip
    for name in ("a-1", "b-1", "c-1"):
        with_(source, "router", "add", name, "--site", SITE, "--config", str(file))
    city = City(tmp_path)
    secrets = {name: city.broker.password(name) for name in ("a-1", "b-1", "c-1")}
    city.broker.password_file("a-1").unlink()  # moved to its router
    broker = RunningBroker(city.broker, source)

    def enters(name: str) -> bool:
        with plain(city.broker.ports.router) as wire:
            return wire.connect(f"titik:{name}", name, secrets[name]) == 0

    with broker:
        now("broker", "init", folder)
        city.says("router", "remove", "b-1")
        assert [True, False, True] == [enters(name) for name in secrets]
        broker.stop()
        broker.source = ROOT
        broker.start()
        assert [True, False, True] == [enters(name) for name in secrets]
        broker.stop()
        city.broker.password_file("a-1").write_text(secrets["a-1"] + "\n")
        with_(source, "broker", "init", folder)
        broker.source = source
        broker.start()
        assert [True, False, True] == [enters(name) for name in secrets]
        with_(source, "router", "remove", "c-1", "--config", str(file))
        broker.stop()
        now("broker", "init", folder)
        broker.source = ROOT
        broker.start()
        assert [True, False, False] == [enters(name) for name in secrets]


def test_lines_that_were_added_by_hand_are_named_with_what_replaces_them(
    city: City, source: Path
) -> None:
    """The command that is printed works as it stands, and nothing else of the ACL is named."""
    folder = city.folder / "broker"
    assert "acl, of" not in now("broker", "init", str(folder))
    acl = folder / "acl"
    acl.write_text(
        f"{acl.read_text()}topic read titik/v2/#\n\nuser ina\ntopic write door/open\n"
        "user a-1\ntopic doors/a-1\npattern read doors/%u/x\npattern read all\n"
    )
    with RunningBroker(city.broker, source):
        output = now("broker", "init", str(folder)).splitlines()
    wanted = [line.strip() for line in output if "mosquitto_ctrl" in line]
    assert [line for line in output if line.startswith("acl, of")] == [
        "acl, of ina: topic read titik/v2/#",
        "acl, of ina: topic write door/open",
        "acl, of a-1: topic doors/a-1",
        "acl, of everybody: pattern read doors/%u/x",
        "acl, of everybody: pattern read all",
    ]
    assert not any("NAME" in line for line in wanted[:-5]), wanted
    with RunningBroker(city.broker):
        for line in dict.fromkeys(wanted):
            command = line.replace("NAME", "b-1")
            subprocess.run(["sh", "-ec", command], check=True, capture_output=True)
        with secure(city, city.broker.ports.engineer) as ina:
            assert 0 == ina.connect("", "ina", city.broker.password("ina"))
            assert ina.publish("door/open") in (0, 0x10)
            assert 0x87 == ina.publish("door/shut")
        assert is_in(city, "b-1")
        with secure(city, city.broker.ports.router, city.folder / "b-1/etc/titik") as other:
            assert 0 == other.connect("titik:b-1")
            assert [1, 1, 0x87] == [
                other.subscribe(one) for one in ("doors/b-1/x", "all", "doors/a-1")
            ]
    assert (folder / "acl.old").exists()


@pytest.mark.thorough
def test_connected_agents_lose_nothing(
    tmp_path: Path, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are connected to the former broker, and come back to this one by themselves."""
    besieged = Besieged(tmp_path, honest=AGENTS, interval_s=0.5)
    with_(source, "broker", "init", str(besieged.directory.path))
    for left in ("broker.conf", "data/dynamic-security.json", "secrets/control"):
        (besieged.directory.path / left).unlink()
    besieged.broker.source = source
    with besieged:
        with besieged.holds():
            now("broker", "init", str(besieged.directory.path))
        besieged.broker.stop()
        besieged.broker.source = ROOT
        besieged.broker.start()
        besieged.assert_whole()
        besieged.until_sampled(3)
        besieged.assert_whole()
    caplog.clear()  # the agents log that the broker was away
