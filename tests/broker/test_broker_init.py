"""What `titik broker init` writes, keeps and says."""

import json
import os
import re
import shutil
import socket
import stat
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.ports import free_ports
from titik_collector.access.passwords import make_secret
from titik_collector.broker_setup import broker_conf, broker_init, broker_run
from titik_collector.broker_setup.broker_folder import PLUGIN, BrokerError, BrokerFolder
from titik_collector.broker_setup.broker_init import Request, init
from titik_collector.broker_setup.login import login
from titik_collector.commands.broker import broker
from titik_collector.config import model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the broker's directory is to be."""
    return tmp_path / "broker"


def run(*arguments: str) -> Result:
    """`titik broker ARGUMENTS`."""
    return CliRunner().invoke(broker, list(arguments))


def modes(path: Path) -> dict[str, int]:
    """The mode of everything in the directory."""
    return {str(one.relative_to(path)): stat.S_IMODE(one.stat().st_mode) for one in path.rglob("*")}


def options(path: Path, name: str) -> list[str]:
    """Every value of one option of broker.conf."""
    text = (path / "broker.conf").read_text()
    return [line.partition(" ")[2] for line in text.splitlines() if line.split()[:1] == [name]]


def test_every_listener_is_on_loopback_unless_asked(path: Path) -> None:
    """Three listeners, three ports."""
    made, _ = init(path, Request())
    ports = made.ports
    assert 3 == len({ports.router, ports.engineer, ports.collector})
    expected = [f"{port} 127.0.0.1" for port in (ports.router, ports.collector, ports.engineer)]
    assert expected == options(path, "listener")


def test_an_address_opens_the_routers_listener_alone(path: Path) -> None:
    """Engineers are opened by an option of their own, the collector never."""
    made, _ = init(path, Request(listen="0.0.0.0", insecure=True))
    addresses = [one.split()[1] for one in options(path, "listener")]
    assert ["0.0.0.0", "127.0.0.1", "127.0.0.1"] == addresses
    assert "127.0.0.1" == made.host
    init(path, Request(engineer_listen="127.0.0.2"))
    addresses = [one.split()[1] for one in options(path, "listener")]
    assert ["0.0.0.0", "127.0.0.1", "127.0.0.2"] == addresses


def test_client_ids_are_user_names_but_for_engineers(path: Path) -> None:
    """The option stands below the routers' and the collector's listener alone."""
    init(path, Request())
    sections = re.split(r"(?m)^listener ", (path / "broker.conf").read_text())[1:]
    expected = [True, True, False]
    assert expected == ["use_username_as_clientid true" in one for one in sections]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("per_listener_settings", ["false"]),
        ("allow_anonymous", ["false"]),
        ("max_packet_size", ["20480"]),
        ("message_size_limit", []),
        ("allow_zero_length_clientid", ["true"]),
        ("persistence", ["true"]),
        ("autosave_interval", ["60"]),
        ("persistent_client_expiration", ["14d"]),
    ],
)
def test_the_configuration_is_hardened(path: Path, option: str, expected: list[str]) -> None:
    """Each of these was a loss or a break-in somewhere."""
    init(path, Request())
    assert expected == options(path, option)


def test_the_queue_is_larger_than_the_default(path: Path) -> None:
    """The default of 1000 drops QoS 1 in silence; 0 drops everything in 2.0.16."""
    init(path, Request())
    assert int(options(path, "max_queued_messages")[0]) >= 100_000
    assert int(options(path, "max_queued_bytes")[0]) > 0


def test_a_router_has_its_leaves_alone(path: Path) -> None:
    """No line ends in #, with which a router could forge its own ack."""
    made, _ = init(path, Request(routers=("a-1",)))
    assert ["router", "router:a-1"] == roles_of(made, "a-1")
    assert [
        ("publishClientSend", "titik/v1/router/a-1/status"),
        ("publishClientSend", "titik/v1/router/a-1/sample"),
        ("publishClientSend", "titik/v1/router/a-1/backlog"),
        ("publishClientSend", "titik/v1/router/a-1/running"),
        ("publishClientSend", "titik/v1/router/a-1/answer"),
        ("subscribeLiteral", "titik/v1/router/a-1/ack"),
        ("subscribeLiteral", "titik/v1/router/a-1/settings"),
        ("subscribeLiteral", "titik/v1/router/a-1/certificate"),
        ("subscribeLiteral", "titik/v1/router/a-1/upgrade"),
        ("subscribeLiteral", "titik/v1/router/a-1/request"),
        ("publishClientReceive", "titik/v1/router/a-1/+"),
    ] == rights_of(made, "router:a-1")
    assert [
        ("subscribeLiteral", "titik/v1/collector/+/status"),
        ("publishClientReceive", "titik/v1/collector/+/status"),
    ] == rights_of(made, "router")


def document(made: BrokerFolder) -> dict[str, Any]:
    """The plugin's file."""
    found: dict[str, Any] = json.loads(made.access_file.read_text())
    return found


def roles_of(made: BrokerFolder, user: str) -> list[str]:
    """As the plugin's file has them."""
    (client,) = [one for one in document(made)["clients"] if one["username"] == user]
    return [one["rolename"] for one in client["roles"]]


def rights_of(made: BrokerFolder, role: str) -> list[tuple[str, str]]:
    """Likewise."""
    (found,) = [one for one in document(made)["roles"] if one["rolename"] == role]
    return [(one["acltype"], one["topic"]) for one in found["acls"] if one["allow"]]


def test_secrets_are_closed_and_files_are_mosquittos(path: Path) -> None:
    """Only the account that mosquitto drops to, and root, read what it must read."""
    made, _ = init(path, Request(routers=("a-1",)))
    root = os.geteuid() == 0
    found = modes(path)
    assert (0o750 if root else 0o700) == stat.S_IMODE(path.stat().st_mode)
    assert [0o700] * 2 == [found[one] for one in ("secrets", "data")]
    users = ("collector", "engineer", "a-1")
    assert [0o600] * 3 == [found[f"secrets/{one}.password"] for one in users]
    assert [0o600] * 2 == [found[one] for one in ("secrets/control", "data/dynamic-security.json")]
    owner = made.owner(0).uid if root else os.geteuid()
    for one in ("data/dynamic-security.json", "data"):
        assert owner == (path / one).stat().st_uid
    for one in ("secrets", "secrets/a-1.password"):
        assert os.geteuid() == (path / one).stat().st_uid


def test_a_second_init_keeps_everything(path: Path) -> None:
    """Nothing is reported because nothing changed."""
    made, _ = init(path, Request(routers=("a-1",), listen="0.0.0.0", insecure=True))
    made.database.write_bytes(b"kept")
    before = {one: one.read_bytes() for one in path.rglob("*") if one.is_file()}
    _, output = init(path, Request())
    assert [] == output
    assert before == {one: one.read_bytes() for one in path.rglob("*") if one.is_file()}


def test_a_second_init_says_what_changed(path: Path) -> None:
    """What was given changes; the rest, passwords first of all, stays."""
    was, now = free_ports(2)
    first, _ = init(path, Request(routers=("a-1",), router_port=was))
    password = first.password("a-1")
    made, output = init(path, Request(router_port=now, routers=("b-1",)))
    assert (now, first.ports.engineer) == (made.ports.router, made.ports.engineer)
    assert password == made.password("a-1")
    assert [
        f"port for routers: {was} is now {now}",
        "broker.conf is written again, the one before is broker.conf.old",
        f"made passwords for b-1 in {path / 'secrets'}",
    ] == [line for line in output if not line.startswith("warning: ")]


@pytest.mark.parametrize("content", [None, b"", b"\xff\0", b"[]", b'{"clients":[{}]}'])
def test_a_damaged_file_of_users_is_made_again(path: Path, content: bytes | None) -> None:
    """Everybody's, also of routers without a registry; other commands name init as the remedy."""
    made, _ = init(path, Request(routers=("a-1",), engineers=("ina",)))
    users = {name: made.password(name) for name in made.users()}
    made.access_file.unlink()
    if content is not None:
        made.access_file.write_bytes(content)
    remedy = rf"{made.access_file}: (is missing|damaged).*make it .*titik broker init {path}$"
    for command in (
        made.users,
        lambda: made.admit(["b-1"]),
        lambda: made.remove_users(["a-1"]),
        lambda: broker_init.remove_engineer(made, "ina"),
    ):
        with pytest.raises(BrokerError, match=remedy):
            command()
    made, output = init(path, Request())
    assert f"made {made.access_file} for 4 users" in output
    assert users == {name: made.password(name) for name in made.users()}
    assert [] == made.admit(made.users())  # each hash is that of its secret
    kept = made.access_file.with_suffix(".damaged")
    assert content == (kept.read_bytes() if kept.exists() else None)


def test_an_init_that_was_cut_short_is_finished_by_the_next(path: Path) -> None:
    """Before the first secret was made, too."""
    made, _ = init(path, Request())
    made.access_file.unlink()
    shutil.rmtree(path / "secrets")
    made, _ = init(path, Request(routers=("a-1",)))
    assert ["a-1", "collector", "engineer"] == made.users()
    assert [] == made.admit(made.users())


def test_what_an_operator_added_stays(path: Path) -> None:
    """Users and roles of other names, lines in ours, through an init and a router more."""
    made, _ = init(path, Request(routers=("a-1",)))
    found = document(made)
    line = {"acltype": "publishClientSend", "topic": "titik/v1/router/a-1/door", "priority": 3,
            "allow": True}  # fmt: skip
    next(one for one in found["roles"] if one["rolename"] == "router:a-1")["acls"].append(line)
    found["roles"].append({"rolename": "door", "acls": []})
    found["clients"].append({"username": "door", "roles": [{"rolename": "door"}]})
    made.access_file.write_text(json.dumps(found))
    init(path, Request(collector_id="second"))
    made.admit(["b-1"])
    assert "door" in made.users()
    assert ("publishClientSend", "titik/v1/router/a-1/door") in rights_of(made, "router:a-1")
    assert ["collector:second"] == roles_of(made, "collector")
    made.remove_users(["a-1"])
    names = [one["rolename"] for one in document(made)["roles"]]
    assert ("door" in names, "router:a-1" in names) == (True, False)
    assert "collector:main" not in names


def test_a_file_that_lost_users_and_rights_is_made_whole(path: Path) -> None:
    """What settings and secrets say is there again, and nobody may do anything by default."""
    made, _ = init(path, Request(routers=("a-1",)))
    found = whole = document(made)
    found = json.loads(json.dumps(whole))
    found["clients"] = found["clients"][:1]
    found["roles"][-1]["acls"].pop()
    found["defaultACLAccess"]["subscribe"] = True
    made.access_file.write_text(json.dumps(found))
    made, _ = init(path, Request())
    assert ["a-1", "collector", "engineer"] == made.users()
    assert whole["roles"] == document(made)["roles"]
    assert whole["defaultACLAccess"] == document(made)["defaultACLAccess"]


def test_a_lost_file_of_users_is_reported_by_a_check(path: Path) -> None:
    """Nobody would be let in."""
    made, _ = init(path, Request(host="localhost"))
    made.access_file.unlink()
    done = run("check", str(path))
    assert (1, True) == (done.exit_code, f"{made.access_file}: is missing; " in done.output)
    assert 0 == run("init", str(path)).exit_code
    assert "warning" not in run("check", str(path)).output


def test_a_router_unknown_to_the_broker_is_reported_by_a_check(path: Path) -> None:
    """Its certificate is good, and it would be let do nothing."""
    made, _ = init(path, Request(host="localhost"))
    made.authority.certify_router("a-1")
    done = run("check", str(path))
    output = (
        f"warning: the broker does not know a-1, who has a certificate: titik broker init {path}"
    )
    assert (1, True) == (done.exit_code, output in done.output), done.output
    assert 0 == run("init", str(path)).exit_code
    assert "warning" not in run("check", str(path)).output
    assert "a-1" in made.users()


@pytest.mark.system
def test_mosquittos_account_says_who_can_make_the_file_of_users_again() -> None:
    """The unit starts the broker as that account, which reads no secret and no key."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        made, _ = init(Path(folder) / "broker", Request(host="localhost"))
        made.access_file.write_text('{"defa')
        its = made.owner(0)
        os.setegid(its.gid)
        os.seteuid(its.uid)
        try:
            with pytest.raises(BrokerError, match=r"damaged; .* as root: titik broker init \S+$"):
                broker_run.prepare(made)
        finally:
            os.seteuid(0)
            os.setegid(0)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\0"])
def test_a_damaged_secret_is_made_again(path: Path, content: bytes) -> None:
    """An empty password would be nobody's and everybody's; the others keep theirs."""
    made, _ = init(path, Request(engineers=("ina",)))
    kept = made.password("engineer")
    made.password_file("ina").write_bytes(content)
    with pytest.raises(BrokerError, match=f"ina.password: is damaged; .*titik broker init {path}$"):
        made.password("ina")
    made, output = init(path, Request())
    assert [f"made passwords for ina in {path / 'secrets'}"] == output
    assert (32, kept) == (len(made.password("ina")), made.password("engineer"))
    assert 0o600 == stat.S_IMODE(made.password_file("ina").stat().st_mode)
    assert [] == made.admit(made.users())


def test_force_names_the_engineers_whose_files_are_gone(path: Path) -> None:
    """They were given a file each, which has the password of before."""
    init(path, Request(engineers=("maria",)))
    (path / "secrets/maria.sh").touch()
    _, output = init(path, Request(force=True))
    assert "--force: new files are needed for maria: titik engineer add NAME" in output


def test_force_makes_everything_new(path: Path) -> None:
    """Only then are passwords and data destroyed; the users stay users."""
    made, _ = init(path, Request(routers=("a-1",)))
    made.database.write_bytes(b"old")
    password = made.password("a-1")
    _, output = init(path, Request(force=True))
    assert password != made.password("a-1")
    assert not made.database.exists()
    assert "--force: every password is new, sessions and retained messages are gone" in output


def test_another_directory_is_left_alone(path: Path) -> None:
    """Files that are not ours are a reason to stop."""
    path.mkdir()
    (path / "note.txt").write_text("dear")
    with pytest.raises(BrokerError, match="holds something else; give a directory of its own"):
        init(path, Request())
    assert ["note.txt"] == os.listdir(path)


def test_a_port_that_is_held_is_passed_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next free one is taken and written down."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        held = other.getsockname()[1]
        monkeypatch.setattr(broker_init, "PORT", held)
        made, output = init(path, Request())
        assert f"port {held} is in use, routers use {made.ports.router}" in output
    assert held < made.ports.router
    assert made.ports == BrokerFolder.open(path).ports


def test_another_port_is_reported_as_the_agent_needs_it(path: Path) -> None:
    """Or its configuration would lead to whoever holds MQTT's own."""
    (port,) = free_ports(1)
    done = run("init", str(path), "--port", str(port))
    assert f"agent.toml needs the line: port = {port}" in done.output


def test_a_port_that_is_held_later_is_reported(path: Path) -> None:
    """With the command that chooses another."""
    (held,) = free_ports(1)
    made, _ = init(path, Request(engineer_port=held))
    with socket.create_server(("127.0.0.1", held)):
        init(path, Request(engineers=("ina",)))  # which asks for no other
        with pytest.raises(BrokerError, match=rf"port {held} .* is not free; .*--engineer-port N"):
            broker_run.check(made)


@pytest.mark.parametrize("trial", [False, True])
def test_the_ports_of_tls_are_passed_over_if_they_are_held(
    path: Path, monkeypatch: pytest.MonkeyPatch, trial: bool
) -> None:
    """As those of a first init without it are, and reported."""
    if trial:
        init(path, Request())
    with socket.create_server(("0.0.0.0", 0)) as other:
        held = other.getsockname()[1]
        monkeypatch.setattr(broker_init, "TLS_PORT", held)
        made, output = init(path, Request(host="localhost"))
    assert held < made.ports.router < made.ports.engineer
    assert f"port {held} is in use, routers use {made.ports.router}" in output


@pytest.mark.parametrize("again", [False, True])
def test_a_port_that_is_asked_for_must_be_free(path: Path, again: bool) -> None:
    """Of the address where it is to be; nothing is changed."""
    before = init(path, Request())[0].settings if again else None
    with socket.create_server(("127.0.0.1", 0)) as other:
        held = other.getsockname()[1]
        expected = rf"port {held} of 127.0.0.1 is not free; stop what holds it, or .* --port N"
        with pytest.raises(BrokerError, match=expected):
            init(path, Request(router_port=held))
    assert before == (BrokerFolder.open(path).settings if again else None)
    assert again == path.exists()


def test_an_address_where_the_port_is_held_is_refused(path: Path) -> None:
    """It is another listener, though of the same port."""
    (port,) = free_ports(1)
    init(path, Request(router_port=port))
    with (
        socket.create_server(("127.0.0.2", port)),
        pytest.raises(BrokerError, match=rf"port {port} of 127.0.0.2 is not free"),
    ):
        init(path, Request(listen="127.0.0.2"))


@pytest.mark.thorough
def test_a_broker_that_runs_is_not_in_its_own_way(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ports may be asked for again, exchanged, opened to others, and left and taken back."""
    router, engineer, collector = free_ports(3)
    asked = Request(router_port=router, engineer_port=engineer, collector_port=collector)
    made, _ = init(path, asked)
    ports = made.ports
    monkeypatch.chdir(path)  # this process is what runs on the directory
    (path / "data" / "mosquitto.pid").write_text(str(os.getpid()))
    monkeypatch.setattr(os, "kill", lambda *_: None)
    with (
        socket.create_server(("127.0.0.1", ports.router)),
        socket.create_server(("127.0.0.1", ports.engineer)),
    ):
        exchanged = Request(router_port=ports.engineer, engineer_port=ports.router)
        made, _ = init(path, exchanged)
        assert (ports.engineer, ports.router) == (made.ports.router, made.ports.engineer)
        init(path, Request(listen="0.0.0.0", insecure=True))
        init(path, Request(router_port=free_ports(1)[0]))
        init(path, Request(router_port=ports.engineer))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request(router_port=2000, engineer_port=2000), "a port each, not 2000, 2000"),
        (Request(listen="0.0.0.0"), "--listen 0.0.0.0: without --host passwords.*--insecure"),
        (Request(engineer_listen="::"), "--engineer-listen ::: without --host pass.*--host NAME"),
        (Request(listen="everywhere"), "everywhere: is no address; give one of this machine's"),
        (Request(listen="192.0.2.1"), "192.0.2.1: is no address of this machine; give one that is"),
        (Request(engineer_listen="2001:db8::7"), "2001:db8::7: is no address of this machine"),
        (Request(routers=("engineer",)), "engineer: is the name of more than one user"),
        (Request(engineers=("a\ntopic write #",)), r"'a\\ntopic write #': is no user name"),
        (Request(engineers=("collector",)), "collector: is the collector's user; name the engin"),
        (Request(host="bad_host!"), "--host bad_host!: is no DNS name and no address"),
        (Request(host="a..b"), "--host a..b: is no DNS name"),
        (Request(host="10.0.0.256"), "--host 10.0.0.256: is no DNS name"),
        (Request(host='a"\nb'), "is no DNS name"),
    ],
)
def test_what_cannot_be_written_is_not(path: Path, request_: Request, expected: str) -> None:
    """Checked before anything is made."""
    with pytest.raises(BrokerError, match=expected):
        init(path, request_)
    assert not path.exists()


@pytest.mark.parametrize("host", ["mqtt.example.org", "server-1", "192.0.2.7", "2001:db8::7"])
def test_a_name_or_an_address_is_a_host(path: Path, host: str) -> None:
    """Both are what a certificate can carry."""
    assert host == init(path, Request(host=host))[0].settings.host


def test_a_new_name_says_who_is_cut_off(path: Path) -> None:
    """Those whose files bear the old one; a city that has enrolled nobody may change it at will."""
    made, _ = init(path, Request(host="old.example.org"))
    assert [] == [line for line in init(path, Request(host="b.example.org"))[1] if "warn" in line]
    init(path, Request(host="old.example.org", engineers=("ina",)))
    for router in ("a-1", "b-1", "b-1", "c-1"):
        made.authority.certify_router(router)
    made.authority.revoke("c-1")
    (warning,) = [line for line in init(path, Request(host="new.example.org"))[1] if "warn" in line]
    assert "of 2 enrolled routers and 1 engineers those who know this broker as old." in warning
    assert f"titik broker init {path} --host old.example.org" in warning
    assert not any("warn" in line for line in init(path, Request(host="new.example.org"))[1])


def test_with_a_host_no_router_gets_a_password(path: Path) -> None:
    """It could not be revoked, and would open the engineers' listener to the world."""
    made, _ = init(path, Request(host="localhost", routers=("a-1",)))
    assert ["collector", "engineer"] == made.users()
    assert not made.password_file("a-1").exists()


@pytest.mark.parametrize("force", [False, True])
def test_a_trials_passwords_end_with_tls(path: Path, force: bool) -> None:
    """With a line that names the routers and what lets them in; the others keep theirs."""
    init(path, Request(routers=("a-1", "b-1")))
    made, output = init(path, Request(host="localhost", collector="reader", force=force))
    assert ["engineer", "reader"] == made.users()
    assert not made.password_file("a-1").exists()
    assert "ended the passwords of a-1, b-1: with --host routers have certificates only" in output
    (cut,) = [line for line in output if line.startswith("warning: ")]
    assert "cut off until they have certificates: a-1, b-1;" in cut
    assert "titik router add NAME --site SITE" in cut
    assert any(line.startswith("engineers keep their passwords (engineer)") for line in output)
    assert not any("password" in line for line in init(path, Request(routers=("a-1",)))[1])


def test_an_engineer_named_as_an_old_router_has_a_password_of_its_own(path: Path) -> None:
    """The one that is left over is known to whoever had the router."""
    made, _ = init(path, Request(host="localhost"))
    give_passwords(made, "budi", "a-1")
    left = made.password("budi")
    made, output = init(path, Request(engineers=("budi",)))
    assert made.password("budi") != left
    assert ["budi", "collector", "engineer"] == made.users()
    assert "ended the passwords of a-1, budi: with --host routers have certificates only" in output


def give_passwords(made: BrokerFolder, *routers: str) -> None:
    """As an earlier version did, with TLS too."""
    BrokerFolder(made.path, replace(made.settings, host=None)).admit(routers)


def test_a_secret_that_was_left_over_is_nobodys(path: Path) -> None:
    """Though the broker knows the router no more, its password was known to it."""
    made, _ = init(path, Request(host="localhost"))
    left = make_secret(made.password_file("a-1"))
    made, _ = init(path, Request(engineers=("a-1",)))
    assert left != made.password("a-1")
    make_secret(made.password_file("b-1"))
    init(path, Request())
    assert not made.password_file("b-1").exists()
    assert ["a-1", "collector", "engineer"] == made.users()


def test_who_has_a_certificate_is_not_cut_off_by_a_password_that_ends(path: Path) -> None:
    """Of a broker that an earlier version made; who is revoked stays out, and is known to."""
    made, _ = init(path, Request(host="localhost"))
    give_passwords(made, "a-1", "b-1")
    for name in ("a-1", "b-1"):
        made.authority.certify_router(name)
    made.authority.revoke("b-1")
    checked = run("check", str(path))
    assert f"warning: a-1, b-1 may log in by password: titik broker init {path} ends" in (
        checked.output
    )
    _, output = init(path, Request())
    assert "ended the passwords of a-1, b-1: with --host routers have certificates only" in output
    assert not any("cut off" in line for line in output)
    assert "warning" not in run("check", str(path)).output


def test_a_broker_that_runs_is_not_reported_to_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the way is found before anything is done."""
    init(path, Request())
    program = path.parent / "mosquitto"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.chdir(path)  # this process is what runs on the directory
    (path / "data" / "mosquitto.pid").write_text(str(os.getpid()))
    done = run("run", str(path))
    assert f"Error: {path}: mosquitto runs on it already, process {os.getpid()}\n" == done.output


def test_a_missing_mosquitto_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The line to run is in it."""
    monkeypatch.setattr(broker_run, "PLACES", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerError, match="mosquitto is missing; apt-get install mosquitto"):
        broker_run.find_mosquitto()


def test_mosquitto_is_found_where_debian_keeps_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A user's PATH has no sbin."""
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(broker_run, "PLACES", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    assert program == broker_run.find_mosquitto()


@pytest.mark.parametrize(
    "place", ["usr/lib", "usr/lib64", "usr/local/lib", "usr/lib/aarch64-linux-gnu"]
)
def test_the_plugin_is_found_on_every_processor(tmp_path: Path, place: str) -> None:
    """Beside mosquitto's other libraries; the configuration names it."""
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / PLUGIN).touch()
    assert tmp_path / place / PLUGIN == broker_conf.plugin(tmp_path)


def test_a_missing_plugin_is_reported_with_what_brings_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mosquitto would let nobody in without it."""
    made, _ = init(path, Request())
    assert options(path, "plugin") == [str(broker_conf.plugin())]
    monkeypatch.setattr(broker_conf, "plugin", lambda: tmp_path / "nowhere.so")
    with pytest.raises(BrokerError, match=r"nowhere\.so: is missing; apt-get install mosquitto"):
        broker_run.check(made)


def test_another_program_with_the_old_process_id_is_not_mosquitto(path: Path) -> None:
    """Only what runs in the directory is ever signalled."""
    made, _ = init(path, Request())
    (path / "data" / "mosquitto.pid").write_text(str(os.getpid()))
    assert made.pid() is None
    assert not made.reload()


def test_a_directory_that_is_none_is_reported_with_the_remedy(tmp_path: Path) -> None:
    """The command that makes it is in the message."""
    done = run("run", str(tmp_path / "x"))
    assert 1 == done.exit_code
    made = f"titik broker init {tmp_path / 'x'} --config titik.toml"
    assert f"no broker there; make it: {made}; or" in done.output


def test_a_directory_that_cannot_be_made_is_reported_with_the_remedy() -> None:
    """The system's reason alone does not show what to type instead."""
    done = run("init", "/proc/x")
    assert 1 == done.exit_code
    assert "/proc/x: cannot be made (No such file or directory); give a direct" in done.output


def test_a_damaged_settings_file_is_reported(path: Path) -> None:
    """Not a traceback."""
    init(path, Request())
    (path / "broker.toml").write_text("account = 1\n")
    with pytest.raises(BrokerError, match="account: 1 is not text"):
        BrokerFolder.open(path)


def test_init_reads_the_citys_file(tmp_path: Path) -> None:
    """Its routers get passwords; the collector's user and id are the file's."""
    file = tmp_path / "titik.toml"
    text = (Path(__file__).parents[2] / "examples" / "kupang.toml").read_text()
    file.write_text(text.replace('id = "main"', 'id = "second"'))
    done = run("init", str(tmp_path / "broker"), "--config", str(file))
    assert 0 == done.exit_code, done.output
    made = BrokerFolder.open(tmp_path / "broker")
    assert 12 == len(made.users())
    assert ["collector:second"] == roles_of(made, "collector")
    assert f"mosquitto_sub -h 127.0.0.1 -p {made.ports.engineer} -u engineer" in done.output


@pytest.mark.parametrize(
    ("table", "folder", "expected"),
    [
        ("", "mq", 'names none; set directory = "mq"'),
        ('[broker]\ndirectory = "broker"\n', "mq", 'names {base}/broker; set directory = "mq"'),
        ("", "../mq", 'names none; set directory = "{up}/mq"'),
        ('[broker]\ndirectory = "x/../mq/"\n', "mq", None),
    ],
)
def test_a_file_that_does_not_name_the_broker_is_reported(
    tmp_path: Path, table: str, folder: str, expected: str | None
) -> None:
    """Every other command looks where the file says; the line to write is the message's."""
    base = tmp_path / "city"
    base.mkdir()
    file = base / "titik.toml"
    city = '[city]\nname = "a"\ntitle = "A"\ntimezone = "UTC"\n[store]\npath = "titik.db"\n'
    file.write_text(city + table)
    done = run("init", str(base / folder), "--config", str(file))
    assert 0 == done.exit_code, done.output
    output = [line for line in done.output.splitlines() if line.startswith("warning: ")]
    if expected is None:
        assert [] == output
        return
    so = "titik router, engineer, collect and backup do not find this broker"
    named = expected.format(base=base, up=tmp_path)
    assert [f"warning: {so}: {file} {named} under [broker] there"] == output


def test_the_collector_logs_in_with_what_init_wrote(tmp_path: Path) -> None:
    """broker.directory is all that the file must say; given keys come first."""
    text = (Path(__file__).parents[2] / "examples" / "kupang.toml").read_text()
    made, _ = init(tmp_path / "broker", Request())
    found = login(model.parse(text.encode(), tmp_path / "titik.toml"))
    assert ("127.0.0.1", made.ports.collector) == (found.host, found.port)
    assert ("collector", made.password("collector")) == (found.username, found.password)
    other = text.replace("[broker]", '[broker]\nhost = "192.0.2.9"\nport = 8883')
    found = login(model.parse(other.encode(), tmp_path / "titik.toml"))
    assert ("192.0.2.9", 8883) == (found.host, found.port)


def test_opening_to_the_network_is_reported(tmp_path: Path) -> None:
    """Until there is TLS, everything on that address can be overheard."""
    done = run("init", str(tmp_path / "broker"), "--listen", "0.0.0.0", "--insecure")
    assert "warning: on 0.0.0.0 passwords and reports travel unencrypted" in done.output
