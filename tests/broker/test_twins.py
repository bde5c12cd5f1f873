"""Two brokers of one city: what is changed at the first is so at the other, or is reported."""

import contextlib
import io
import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.broker import enrolled
from tests.broker.enrolled import City, Router
from tests.broker.raw import NOT_AUTHORIZED, secure
from tests.broker.running import RunningBroker
from tests.ports import free_port, free_ports
from tests.until import until
from titik_collector.broker_setup import alike, behind, parcel, twin_take, twins
from titik_collector.broker_setup.broker_folder import BrokerFolder, Ports, write_settings
from titik_collector.broker_setup.twin_take import Answer, answer_of
from titik_collector.cli import titik as commands
from titik_collector.config import model
from titik_collector.units import prerequisites, systemd_units

pytestmark = pytest.mark.system

SITE = "taman-tirosa"


@dataclass
class Pair:
    """A city whose broker has a twin on the same machine, at ports of its own; both run."""

    city: City
    twin: str
    other: BrokerFolder
    first_runs: RunningBroker
    other_runs: RunningBroker

    def routers(self, keys: Path, name: str) -> tuple[Router, Router]:
        """The same router at each of them."""
        ports = self.city.broker.ports.router, self.other.ports.router
        first, other = (Router(keys, port, name) for port in ports)
        return first, other

    def add(self, name: str, folder: Path) -> Path:
        """One router more; the folder of its keys."""
        self.city.says("router", "add", name, "--site", SITE)
        return self.city.enrol(name, folder / name)

    def lets_in(self, keys: Path, name: str) -> tuple[bool, bool]:
        """Whether the first and the other do."""
        found = []
        for one in self.routers(keys, name):
            found.append(one.is_in())
            one.close()
        return found[0], found[1]


def with_twin(city: City, folder: Path) -> BrokerFolder:
    """The other folder, sent once, and given ports of its own."""
    path = str(city.broker.path)
    titik("broker", "twin", "send", path)
    other = BrokerFolder.open(folder)
    router, engineer, collector = free_ports(3)
    ports = Ports(router=router, engineer=engineer, collector=collector)
    write_settings(folder, replace(other.settings, ports=ports))
    titik("broker", "twin", "send", path)
    return BrokerFolder.open(folder)


def titik(*words: str, status: int = 0) -> str:
    """What a command prints that takes no configuration."""
    done = CliRunner().invoke(commands, list(words))
    assert status == done.exit_code, done.output
    return done.output


def unwrapped(screen: str) -> str:
    """Without the breaks of its lines."""
    return " ".join(screen.split())


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Each test has routers of its own, and leaves both running and alike."""
    city = enrolled.made(tmp_path_factory.mktemp("city"))
    folder = tmp_path_factory.mktemp("other") / "broker"
    titik("broker", "twin", "add", str(city.broker.path), str(folder))
    other = with_twin(city, folder)
    with RunningBroker(city.broker) as first, RunningBroker(other) as second:
        yield Pair(city, str(folder), other, first, second)


def test_every_change_of_a_router_is_at_both_brokers(pair: Pair, tmp_path: Path) -> None:
    """Added, rotated and removed, without a restart; what ends a session does so at both."""
    city, old = pair.city, pair.add("tirosa-1", tmp_path)
    assert (True, True) == pair.lets_in(old, "tirosa-1")

    city.says("router", "rotate", "tirosa-1")
    new = city.enrol("tirosa-1", tmp_path / "new")
    first, other = pair.routers(old, "tirosa-1")
    assert first.is_in()
    assert other.is_in()
    city.says("router", "revoke", "tirosa-1", "--old")
    assert first.is_cut(60)
    assert other.is_cut(60)
    first.close()
    other.close()
    assert (False, False) == pair.lets_in(old, "tirosa-1")
    assert (True, True) == pair.lets_in(new, "tirosa-1")

    city.says("router", "remove", "tirosa-1")
    assert (False, False) == pair.lets_in(new, "tirosa-1")
    assert alike.account(city.broker) == alike.account(pair.other)


def test_every_change_of_an_engineer_is_at_both_brokers(pair: Pair) -> None:
    """Added and removed."""
    pair.city.says("engineer", "add", "ina")
    word = pair.city.broker.password("ina")
    assert 0 == reads(pair.city, pair.other, word)
    pair.city.says("engineer", "remove", "ina")
    assert NOT_AUTHORIZED[5] == reads(pair.city, pair.other, word)


def test_a_new_certificate_and_a_renewed_list_are_at_both(pair: Pair) -> None:
    """The timer renews at the first; the other serves the new certificate without a restart."""
    first, before = pair.city.broker, shown(pair.other)
    (first.path / "tls/server.key").unlink()
    titik("broker", "renew", str(first.path))
    assert alike.account(first) == alike.account(pair.other)
    assert shown(first) == shown(pair.other) != before


def test_another_authority_is_at_both_and_its_keys_stay(pair: Pair, tmp_path: Path) -> None:
    """Either lets in by the one before too, until that is forgotten at the first."""
    keys = pair.add("tirosa-8", tmp_path)
    pair.city.says("broker", "authority", "switch")
    assert alike.account(pair.city.broker) == alike.account(pair.other)
    assert (True, True) == pair.lets_in(keys, "tirosa-8")
    assert 2 == len(pair.other.authority.trusted())
    assert pair.city.broker.authority.ca_pem == pair.other.authority.ca_pem
    assert [] == [*(pair.other.path / "ca").glob("*.key")]
    pair.city.says("broker", "authority", "forget", "--force")
    assert (False, False) == pair.lets_in(keys, "tirosa-8")
    assert alike.account(pair.city.broker) == alike.account(pair.other)
    pair.city.says("router", "remove", "tirosa-8")


def test_the_authority_and_the_routers_keys_stay(pair: Pair, tmp_path: Path) -> None:
    """Who takes over the other machine signs nothing, and is no router."""
    pair.add("tirosa-4", tmp_path)
    there = {one.name for one in pair.other.path.rglob("*") if one.is_file()}
    assert "collector.password" in there
    assert "ca.key" not in there
    assert not [name for name in there if name.endswith((".sh", "twin.key"))]
    control = "secrets/control"
    assert (pair.city.broker.path / control).read_text() != (pair.other.path / control).read_text()


def test_what_a_twin_lacks_is_named_until_it_is_mended(pair: Pair, tmp_path: Path) -> None:
    """The command has done its work at the first, and fails, until it is sent."""
    stolen, first = pair.add("tirosa-5", tmp_path), pair.city.broker
    pair.city.says("store", "begin")
    pair.other.path.rename(tmp_path / "away")
    pair.other.path.write_text("the folder is gone")

    output = pair.city.says("router", "revoke", "tirosa-5", status=1)
    assert "tirosa-5: 1 certificate revoked" in output
    assert f"not at every broker of the city: {pair.twin}: " in output
    assert [pair.twin] == [one.twin for one in behind.read(first.path)]
    assert f"broker {pair.twin} is not as" in unwrapped(pair.city.says("status", status=None))
    assert pair.twin in titik("broker", "check", str(first.path), status=1)

    pair.other.path.unlink()
    (tmp_path / "away").rename(pair.other.path)
    assert (False, True) == pair.lets_in(stolen, "tirosa-5")
    lacking = titik("broker", "check", str(first.path), status=1)
    assert re.search("lacks certificate [0-9a-f]+ of router tirosa-5, .*still has", lacking)
    output = titik("broker", "twin", "send", str(first.path))
    assert f"{pair.twin} is alike" in output
    assert (False, False) == pair.lets_in(stolen, "tirosa-5")
    assert () == behind.read(first.path)
    assert f"broker {pair.twin}" not in unwrapped(pair.city.says("status", status=None))


def test_a_twin_that_does_not_run_has_all_when_it_starts(pair: Pair, tmp_path: Path) -> None:
    """What was revoked in the meantime is refused from its first moment."""
    stolen = pair.add("tirosa-6", tmp_path)
    pair.other_runs.stop()
    output = pair.city.says("router", "revoke", "tirosa-6", status=1)
    assert "tirosa-6: 1 certificate revoked" in output
    stopped = "mosquitto does not run there; start it there first"
    assert f"not at every broker of the city: {pair.twin}: {stopped}" in output
    assert [stopped] == [one.why for one in behind.read(pair.city.broker.path)]
    sent = titik("broker", "twin", "send", str(pair.city.broker.path))
    assert f"warning: {pair.twin}: {stopped}" in sent
    pair.other_runs.start()
    assert (False, False) == pair.lets_in(stolen, "tirosa-6")
    titik("broker", "twin", "send", str(pair.city.broker.path))
    assert () == behind.read(pair.city.broker.path)


def test_the_city_is_changed_at_the_first_broker_alone(pair: Pair, tmp_path: Path) -> None:
    """A twin refuses, until it is given the authority's key; then it takes nothing more."""
    pair.add("tirosa-7", tmp_path)
    other, key = City(pair.other.path.parent), "ca/ca.key"
    (other.folder / "titik.toml").write_text((pair.city.folder / "titik.toml").read_text())
    for words in (("router", "revoke", "tirosa-7"), ("engineer", "add", "ina")):
        assert "is a twin" in other.says(*words, status=1)
    assert "is a twin" in titik("broker", "renew", str(pair.other.path), status=1)
    assert "is a twin" in titik("broker", "init", str(pair.other.path), status=1)

    (pair.other.path / key).write_bytes((pair.city.broker.path / key).read_bytes())
    assert "1 certificate revoked" in other.says("router", "revoke", "tirosa-7")
    output = titik("broker", "twin", "send", str(pair.city.broker.path), status=1)
    assert "has the authority's own key" in output
    (pair.other.path / key).unlink()
    bring_back(pair)


def test_a_first_broker_that_was_restored_undoes_nothing(pair: Pair, tmp_path: Path) -> None:
    """A twin takes nothing of one that is older than itself, and names what brings it up again."""
    stolen, first = pair.add("tirosa-8", tmp_path), pair.city.broker
    backup = {
        one: one.read_bytes() for one in (first.path / "ca/revoked", first.path / "tls/crl.pem")
    }
    pair.city.says("router", "revoke", "tirosa-8")
    for file, content in backup.items():
        file.write_bytes(content)
    titik("broker", "init", str(first.path), status=1)
    assert (True, False) == pair.lets_in(stolen, "tirosa-8")
    output = titik("broker", "twin", "send", str(first.path), status=1)
    assert "older than this twin, and lacks 1 revocations and 0 certificates of it" in output
    assert f"bring {pair.twin}/ca/issued and {pair.twin}/ca/revoked from here" in output
    assert (True, False) == pair.lets_in(stolen, "tirosa-8")
    bring_back(pair)
    assert (False, False) == pair.lets_in(stolen, "tirosa-8")

    newer = pair.add("tirosa-9", tmp_path)
    (issued,) = (one.serial for one in first.authority.readable() if one.router == "tirosa-9")
    (first.path / f"ca/issued/{issued:x}.crt").unlink()
    output = titik("broker", "twin", "send", str(first.path), status=1)
    assert "lacks 0 revocations and 1 certificates" in output
    assert (True, True) == pair.lets_in(newer, "tirosa-9")
    bring_back(pair)
    assert alike.account(first) == alike.account(pair.other)


def test_a_revocation_that_was_cut_short_is_ended_next_time(pair: Pair, tmp_path: Path) -> None:
    """The twin's files came, and its process ended before the old key's session did."""
    first, old = pair.city.broker, pair.add("tirosa-10", tmp_path)
    pair.city.says("router", "rotate", "tirosa-10")
    _, other = pair.routers(old, "tirosa-10")
    assert other.is_in()
    first.authority.revoke("tirosa-10", but_newest=True)
    shutil.copyfile(first.path / "tls/crl.pem", pair.other.path / "tls/crl.pem")
    behind.write(first.path, [behind.LaggingTwin(pair.twin, 1, "no answer")], first.owner(0).gid)
    titik("broker", "twin", "send", str(first.path))
    assert other.is_cut(60)
    other.close()
    assert alike.account(first) == alike.account(pair.other)


@pytest.mark.long
def test_users_that_an_operator_added_at_one_alone_are_named(pair: Pair) -> None:
    """No command takes a hash, so they are typed at each broker."""
    made = pair.city.broker
    with made._control() as control:
        control.send([{"command": "createClient", "username": "grafana", "password": "a"}])
    output = titik("broker", "twin", "send", str(made.path), status=1)
    assert f"{pair.twin}: lacks user grafana" in output
    made.remove_users(["grafana"])
    titik("broker", "twin", "send", str(made.path))


def test_over_ssh_a_twin_takes_what_is_sent_and_nothing_else(city: City, tmp_path: Path) -> None:
    """The key that is on the other machine for it opens no shell there."""
    folder, port = tmp_path / "other" / "broker", free_port()
    twin = f"ssh://root@127.0.0.1:{port}{folder}"
    city.says("router", "add", "tirosa-1", "--site", SITE)
    output = titik("broker", "twin", "add", str(city.broker.path), twin)
    (line,) = (one for one in output.splitlines() if one.startswith("command="))
    assert "Connection refused" in titik("broker", "twin", "send", str(city.broker.path), status=1)
    assert not folder.exists()
    with sshd(tmp_path / "sshd", port, line):
        stopped = city.says("router", "revoke", "tirosa-1", status=1)
        assert f"{twin}: mosquitto does not run there" in stopped
        assert alike.account(city.broker) == alike.account(BrokerFolder.open(folder))
        key = city.broker.path / "secrets" / "twin.key"
        shell = subprocess.run(
            ["ssh", "-F", "none", "-i", str(key), "-p", str(port), "-o", "BatchMode=yes",
             "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
             "root@127.0.0.1", "cat /etc/shadow"],
            input=b"", capture_output=True, check=False,
        )  # fmt: skip
        assert b"root:" not in shell.stdout
        (tmp_path / "sshd" / "authorized").write_text("")
        output = titik("broker", "twin", "send", str(city.broker.path), status=1)
        assert f"For its authorized_keys: titik broker twin add {city.broker.path} {twin}" in output
    with sshd(tmp_path / "again", port, line):
        output = titik("broker", "twin", "send", str(city.broker.path), status=1)
        known = city.broker.path / "secrets" / "twin.known"
        assert f"set up again: ssh-keygen -R '[127.0.0.1]:{port}' -f {known}" in output
    output = city.says("router", "rotate", "tirosa-1", status=1)
    assert f"{twin}: ssh: connect to host 127.0.0.1 port {port}: Connection refused" in output


def test_a_twin_gets_units_as_soon_as_it_can_have_them(
    pair: Pair, etc: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing else is sent. The line that installs them comes again until it runs."""
    first, there = str(pair.city.broker.path), etc[1]
    monkeypatch.setattr(prerequisites, "HOMES", ())
    for name in ("USER", "WEB_USER", "NOTIFY_USER"):
        monkeypatch.setattr(systemd_units, name, "nobody")
    store = 'url = "postgresql://a@b.invalid/c"\npassword_file = "db.password"'
    (there / "titik.toml").write_text(enrolled.CONFIG.replace('path = "titik.db"', store))
    password, units = there / "db.password", pair.other.path / "systemd"
    password.touch(0o600)
    for _ in range(2):
        output = titik("broker", "twin", "send", first)
        assert f"{pair.twin}: chown nobody: {password}" in output
        assert f"{pair.twin}: then, at the first broker: titik broker twin send" in output
        assert "titik broker init" not in output
        assert not units.exists()
    os.chown(password, pwd.getpwnam("nobody").pw_uid, -1)
    installs = f"{pair.twin}: install:  systemctl link {units}/*; "
    assert installs in titik("broker", "twin", "send", first)
    assert (units / "titik-collector.service").exists()
    assert installs not in titik("broker", "twin", "send", first)
    pair.other_runs.stop()
    assert installs in titik("broker", "twin", "send", first)
    pair.other_runs.start()
    titik("broker", "twin", "send", first)


def test_a_city_s_file_that_is_not_the_same_is_named(pair: Pair, etc: tuple[Path, Path]) -> None:
    """It is not sent, so no change fails for it; a look does."""
    first, (here, there) = str(pair.city.broker.path), etc
    other = f"{pair.twin}: /etc/titik/titik.toml is not the same there"
    for one in (here, there):
        assert other not in titik("broker", "twin", "send", first)
        (one / "titik.toml").write_text(f"{enrolled.CONFIG}# {one.name}\n")
    assert f"warning: {other}" in titik("broker", "twin", "send", first)
    assert f"warning: {other}" in titik("broker", "init", first)
    assert f"warning: {other}" in titik("broker", "check", first, status=1)
    shutil.copy(here / "titik.toml", there)
    assert other not in titik("broker", "twin", "send", first)


def test_the_command_for_a_timer_names_the_city_s_file(
    pair: Pair, etc: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the folder where it is typed, else the installed one."""
    first = str(pair.city.broker.path)
    (etc[0] / "titik.toml").write_text(enrolled.CONFIG)
    for folder, file in ((pair.other.path, etc[0]), (pair.city.folder, pair.city.folder)):
        monkeypatch.chdir(folder)
        output = titik("broker", "twin", "add", first, pair.twin)
        assert f"titik broker init {first} --config {file}/titik.toml\n" in output


def test_an_answer_of_an_earlier_version_is_read() -> None:
    """It knows no units and no city."""
    assert answer_of('{"runs": true, "lines": [], "notes": []}') == Answer(True, frozenset())


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """/etc/titik of the first's machine and of the twin's, which answers in this process."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.setattr(model, "ETC", here)

    def ask(_made: BrokerFolder, twin: str, sent: bytes) -> Answer:
        with monkeypatch.context() as its:
            its.setattr(model, "ETC", there)
            taken = twin_take.take(Path(twin), parcel.unpacked(io.BytesIO(sent)))
        return answer_of(taken.text())

    monkeypatch.setattr(twins, "_ask", ask)
    return here, there


def bring_back(pair: Pair) -> None:
    """What an operator does at a first broker that is older than its twin."""
    shutil.copytree(
        pair.other.path / "ca/issued", pair.city.broker.path / "ca/issued", dirs_exist_ok=True
    )
    shutil.copy(pair.other.path / "ca/revoked", pair.city.broker.path / "ca/revoked")
    titik("broker", "init", str(pair.city.broker.path))


def reads(city: City, made: BrokerFolder, password: str) -> int | None:
    """What a broker answers the engineer; 0 is welcome."""
    with secure(city, made.ports.engineer) as tool:
        return tool.connect("", "ina", password)


def shown(made: BrokerFolder) -> str:
    """The certificate that a broker serves."""
    return ssl.get_server_certificate(("127.0.0.1", made.ports.engineer)).strip()


@contextlib.contextmanager
def sshd(folder: Path, port: int, authorized: str) -> Iterator[None]:
    """Debian's, on loopback, for the one key."""
    folder.mkdir()
    Path("/run/sshd").mkdir(exist_ok=True)
    key, keys = folder / "host", folder / "authorized"
    made_by = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(made_by, check=True)
    keys.write_text(authorized + "\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    (folder / "conf").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {key}\nAuthorizedKeysFile {keys}\n"
        f"StrictModes no\nUsePAM no\nPidFile none\nSetEnv PATH={path}\n"
    )
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None
    # A group of its own, so that what it starts ends with it.
    with subprocess.Popen([program, "-D", "-e", "-f", str(folder / "conf")]) as running:
        try:
            assert until(lambda: is_open(port), True)
            yield
        finally:
            running.terminate()


def is_open(port: int) -> bool:
    """Whether something listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
