"""What `titik collect`, `simulate` and `demo` refuse before they begin, in one line."""

import errno
import fcntl
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.collector.test_router_command import TEXT
from tests.ports import free_port, free_ports
from titik_agent.config import Sources
from titik_collector.broker_setup import broker_init
from titik_collector.broker_setup.broker_folder import BrokerFolder
from titik_collector.broker_setup.broker_init import Request, is_free
from titik_collector.cli import titik
from titik_collector.commands import plainly
from titik_collector.config import model
from titik_collector.config.schema import ConfigError
from titik_collector.simulation.demo import HERE, Demo, _sources, lines_to_try
from titik_collector.store.database import StoreError
from titik_collector.store.lease import held
from titik_collector.store.sqlite import reading

LEAST = TEXT.partition("[[site]]")[0]
EXAMPLE = Path(__file__).parents[2] / "examples" / "kupang.toml"


def says(*arguments: str, status: int) -> str:
    """What `titik ARGUMENTS` prints, on one line; its exit status must be the one given."""
    done = CliRunner().invoke(titik, list(arguments))
    assert status == done.exit_code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return re.sub(r"[\s│]+", " ", done.output)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration of two routers, with a broker's directory."""
    broker_init.init(tmp_path / "broker", Request(routers=("tirosa-1", "tirosa-2")))
    path = tmp_path / "titik.toml"
    path.write_text(TEXT + '\n[broker]\ndirectory = "broker"\n')
    return path


def test_a_broker_without_tls_is_checked(file: Path) -> None:
    """It needs no certificate; one that is stopped is not in order, with the command."""
    folder = file.parent / "broker"
    ports = BrokerFolder.open(folder).ports
    assert (
        f"mosquitto does not run on {folder}; start it: titik broker run {folder}"
        f" routers=127.0.0.1:{ports.router} engineers=127.0.0.1:{ports.engineer}"
        f" collector=127.0.0.1:{ports.collector}"
        " without TLS: no certificates, and passwords that never end "
    ) == says("broker", "check", str(folder), status=1)


def test_a_check_finds_the_broker_of_the_city(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the other commands do; without the city's file it has to be named."""
    monkeypatch.chdir(file.parent)
    assert "mosquitto does not run on broker; start it" in says("broker", "check", status=1)
    monkeypatch.setattr(model, "ETC", file.parent / "etc")
    (file.parent / "etc").mkdir()
    file.rename(file.parent / "etc/titik.toml")
    wrong = "there is no titik.toml here; name the broker's folder"
    output = says("broker", "check", status=1)
    assert f"{wrong}, or type it in {file.parent}/etc" in output
    (file.parent / "etc/titik.toml").unlink()
    assert output.partition(wrong)[0] + wrong == says("broker", "check", status=1).strip()


def test_a_check_of_nothing_names_what_can_be_checked() -> None:
    """Each half has its own."""
    assert "titik broker check, titik db check; on a router: titik-agent check" in says(
        "check", status=2
    )


def test_a_port_of_services_is_refused_without_one(tmp_path: Path) -> None:
    """mosquitto would not be let open it, whoever starts it."""
    output = says("broker", "init", str(tmp_path / "broker"), "--port", "80", status=1)
    assert "port 80 is for services alone, as --host makes one; choose another" in output
    assert not (tmp_path / "broker").exists()


def test_an_engineer_of_a_broker_without_tls_gets_a_command(file: Path) -> None:
    """There is no file to hand over but the password."""
    output = says("engineer", "add", "ina", "--config", str(file), status=0)
    made = BrokerFolder.open(file.parent / "broker")
    secret = file.parent / "broker/secrets/ina.password"
    assert (
        f"ina may read; the password is in {secret} on this machine: mosquitto_sub -h 127.0.0.1"
        f" -p {made.ports.engineer} -u ina -P \"$(cat {secret})\" -v -t 'titik/v1/now/#' "
    ) == output


def test_a_folder_that_is_not_there_begins_no_second_store(file: Path) -> None:
    """A slip in the path would; nothing is made."""
    file.write_text(file.read_text().replace('"titik.db"', '"dta/titik.db"'))
    folder = file.parent / "dta"
    output = says("collect", "--config", str(file), status=1)
    assert (
        f"store.path: there is no folder {folder}; correct the path, or make it: mkdir -p" in output
    )
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--interval", "0"), "'--interval': 0.0 is not in the range 0.1<=x<=3600"),
        (("--interval", "-1"), "'--interval': -1.0 is not in the range"),
        (("--speed", "0"), "'--speed': 0.0 is not in the range"),
        (("--first-wait", "-1"), "'--first-wait': -1.0 is not in the range"),
        (("--for", "-3"), "'--for': -3.0 is not in the range x>=0"),
        (("--begin", "25:00"), "'--begin': 25:00: use HH:MM, as 18:30"),
        (("--leave", "nope"), "--leave: nope is not simulated; there are tirosa-1, tirosa-2"),
        (("--outage", "nope:1:2"), "--outage: nope is not simulated; there are tirosa-1, tiro"),
        (("--outage", "tirosa-1:-1:2"), "'--outage': tirosa-1:-1:2: use ROUTER:AFTER:LENGTH"),
    ],
)
def test_a_fleet_that_cannot_be_is_refused(
    file: Path, arguments: tuple[str, str], expected: str
) -> None:
    """With the option and what it takes."""
    given = ("simulate", "--config", str(file), "--for", "0", *arguments)
    assert expected in says(*given, status=2)


@pytest.mark.parametrize("option", ["--leave", "--outage"])
def test_a_fleet_that_is_refused_registers_nobody(file: Path, option: str) -> None:
    """What is typed wrong is reported before a router is added to the file or at the broker."""
    text, users = file.read_text(), BrokerFolder.open(file.parent / "broker").users()
    name = {"--leave": "nope", "--outage": "nope:1:2"}[option]
    given = ("simulate", "--config", str(file), "--for", "0", "--routers", "5", option, name)
    assert "nope is not simulated; there are tirosa-1, tirosa-2, sim-0001" in says(*given, status=2)
    assert text == file.read_text()
    assert users == BrokerFolder.open(file.parent / "broker").users()


def test_a_fleet_has_a_file_of_its_own(file: Path) -> None:
    """The city's file is the city's: made-up routers do not stay in it."""
    text, there = file.read_text(), file.with_name("titik.simulated.toml")
    output = says("simulate", "--config", str(file), "--for", "0", "--routers", "4", status=0)
    assert f"titik collect --config {there}" in output
    assert text == file.read_text()
    names = [one.name for one in model.load(there).router]
    assert ["tirosa-1", "tirosa-2", "sim-0001", "sim-0002"] == names
    assert replace(model.load(there), file=file, router=()) == replace(model.load(file), router=())
    output = says("simulate", "--config", str(file), "--for", "0", "--routers", "3", status=0)
    assert 3 == len(model.load(there).router)
    assert "not yet acked" in output


def test_a_fleet_needs_a_site(file: Path) -> None:
    """New routers have to stand somewhere; a traceback spoke of a division by zero."""
    text = LEAST + '\n[broker]\ndirectory = "broker"\n'
    file.write_text(text)
    given = ("simulate", "--config", str(file), "--for", "0", "--routers", "5")
    output = says(*given, status=1)
    assert (
        f"{file}: site: there is none where 5 more routers could be; add a [[site]] first" in output
    )
    assert text == file.read_text()


def test_a_fleet_cannot_speak_to_routers_tls(tmp_path: Path) -> None:
    """It is reported before it tries for ever."""
    broker_init.init(tmp_path / "broker", Request(host="localhost"))
    file = tmp_path / "titik.toml"
    file.write_text(TEXT + '\n[broker]\ndirectory = "broker"\n')
    output = says("simulate", "--config", str(file), "--for", "0", status=1)
    assert "made without --host" in output


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Path]:
    """The directory of a demo that runs."""
    path = tmp_path / "demo"
    path.mkdir()
    with (path / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield path


def test_a_second_demo_in_one_directory_is_refused(demo: Path) -> None:
    """At once, with the process that runs; nothing of the first one is touched."""
    output = says(
        "demo", "--for", "0", "--directory", str(demo), "--example", str(EXAMPLE), status=1
    )
    assert f"{demo}: another demo (process {os.getpid()}) runs there; end it with Ctrl-C" in output
    assert ["demo.lock"] == [one.name for one in demo.iterdir()]


def test_a_demo_of_less_than_no_time_is_refused(tmp_path: Path) -> None:
    """The option is named."""
    given = ("demo", "--for", "-3", "--directory", str(tmp_path), "--example", str(EXAMPLE))
    assert "'--for': -3.0 is not in the range" in says(*given, status=2)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("command", "package"),
    [("status", "rich"), ("db", "msgspec"), ("broker", "cryptography")],
)
def test_a_router_s_installation_says_what_the_server_half_needs(
    command: str, package: str
) -> None:
    """`pip install .` brings the command, without what only the server needs."""
    program = (
        f"import sys; sys.modules['{package}'] = None\n"
        "from titik_collector.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, command, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    expected = (
        f"Error: there is no {package}; titik needs the collector's packages:"
        " pip install '.[collector]'\n"
    )
    assert (1, expected) == (done.returncode, done.stderr)


@pytest.mark.system
def test_a_demo_in_the_background_ends_its_routers(tmp_path: Path) -> None:
    """They say goodbye and are counted, though the shell had Ctrl-C ignored."""
    router, engineer, collector = free_ports(3)  # another demo may want MQTT's own just now
    broker_init.init(
        Demo(tmp_path / "demo", EXAMPLE).broker.path,
        Request(router_port=router, engineer_port=engineer, collector_port=collector),
    )
    given = ["demo", "--directory", str(tmp_path / "demo"), "--example", str(EXAMPLE)]
    code = "from titik_collector.cli import main; main()"
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", code, *given]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        try:
            deadline = time.monotonic() + 120
            while demo.poll() is None and not has_simulated(tmp_path / "demo"):
                assert time.monotonic() < deadline
                time.sleep(0.1)
        finally:
            demo.terminate()
            output = demo.communicate()[0]
    assert "\nin this run the simulated routers took " in output
    assert 0 == demo.returncode


def has_simulated(directory: Path) -> bool:
    """Something that the fleet reported is in the demo's store: every part of it works."""
    sql = "SELECT count(*) FROM sample JOIN router ON router.id = router_id WHERE name != ?"
    try:
        with reading(model.load(directory / "titik.toml").beside) as db:
            return bool(db.execute(sql, (HERE,)).fetchone()[0])
    except (ConfigError, StoreError):  # not made yet
        return False


def test_a_demo_looks_for_hostapd_only_where_it_may_be(tmp_path: Path) -> None:
    """Else the first problem on its screen would be one that nobody can mend."""
    control = tmp_path / "hostapd"
    none = Sources(ubus_socket=str(tmp_path / "ubus.sock"), control_dir=str(control))
    assert '\n[sources]\nhostapd = "off"\n' == _sources(none)
    control.mkdir()
    assert "" == _sources(none)


def test_a_demo_goes_on_with_other_ports_where_its_own_were_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else knows its broker; the agent's file and the lines to try follow."""
    monkeypatch.setattr(broker_init, "PORT", free_port())  # others look for theirs at MQTT's own
    before = Demo(tmp_path, EXAMPLE).broker.ports
    with socket.create_server(("127.0.0.1", before.engineer)):
        demo = Demo(tmp_path, EXAMPLE)
        after = demo.broker.ports
        assert all(is_free("127.0.0.1", one) for one in (after.router, after.engineer))
        assert is_free("127.0.0.1", after.collector)
        assert f"port = {after.router}\n" in demo._agent_file().read_text()
    assert after == Demo(tmp_path, EXAMPLE).broker.ports


def test_a_demo_s_page_has_a_port_of_its_own_and_is_the_last_line(tmp_path: Path) -> None:
    """Somebody else's page on the usual port is in nobody's way, and no line hides the address."""
    before = Demo(tmp_path, EXAMPLE).config.web.port
    with socket.create_server(("127.0.0.1", before)):
        demo = Demo(tmp_path, EXAMPLE)
        assert before != demo.config.web.port
        assert is_free("127.0.0.1", demo.config.web.port)
    assert demo.page == Demo(tmp_path, EXAMPLE).page
    last = [one for one in lines_to_try(demo, 1_795_872_025_000, None) if one][-1]
    assert f"The page of the city: {demo.page}" in last


def test_a_demo_from_before_the_page_gets_one(tmp_path: Path) -> None:
    """Its directory was made by an earlier version, whose file says nothing of a page."""
    demo = Demo(tmp_path, EXAMPLE)
    text = (tmp_path / "titik.toml").read_text()
    (tmp_path / "titik.toml").write_text(
        text.replace(f"\n[web]\nport = {demo.config.web.port}\n", "")
    )
    assert "[web]" not in (tmp_path / "titik.toml").read_text()
    assert demo.config == Demo(tmp_path, EXAMPLE).config


@pytest.mark.parametrize(("seconds", "short"), [(None, False), (60.0, True), (75.0, False)])
def test_a_demo_s_commands_can_be_pasted_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float | None, short: bool
) -> None:
    """Every path is absolute; and it is there when the first minute has been computed."""
    demo = Demo(tmp_path / "a demo", EXAMPLE)
    monkeypatch.chdir("/")
    lines = lines_to_try(demo, 1_795_872_025_000, seconds)
    typed = [shlex.split(one, comments=True) for one in lines if one.startswith("  ")]
    assert {"mosquitto_sub", str(Path(sys.executable).parent / "titik")} == {
        one[0] for one in typed
    }
    for one in typed:
        if one[0] == "mosquitto_sub":
            secret = subprocess.run(["sh", "-c", f"echo {one[8]}"], capture_output=True, check=True)
            assert secret.stdout.strip()
        else:
            assert Path(one[-1]) == tmp_path / "a demo/titik.toml"
    (add,) = (one for one in typed if one[1:4] == ["web", "user", "add"])
    assert "me may look at" in says(*add[1:], status=0)
    assert 2 == sum("in 75 s" in one for one in lines)
    assert short == any("after this demo's end" in one for one in lines)


def test_a_store_that_cannot_be_held_is_reported_with_its_key(file: Path) -> None:
    """The lease beside it is nothing that an operator knows."""
    (file.parent / "titik.db.lease").mkdir()
    output = says("collect", "--config", str(file), status=1)
    assert f"store.path: {file.parent}/titik.db.lease: Is a directory; run as its owner" in output


def test_a_second_collector_is_reported_how_to_end_the_first(file: Path) -> None:
    """With the process that holds the store."""
    with held(file.parent / "titik.db"):
        output = says("collect", "--config", str(file), status=1)
    assert f"(process {os.getpid()}) holds this store; stop it, or give each" in output


def test_a_folder_in_the_place_of_the_file_is_reported_with_the_file(tmp_path: Path) -> None:
    """Whoever names the folder of titik.toml."""
    output = says("collect", "--config", str(tmp_path), status=1)
    assert f"{tmp_path}: is a folder; name the file: --config {tmp_path}/titik.toml" in output


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EACCES, "this user may not write there; run as its owner or as root"),
        (errno.EROFS, "nothing can be written there (Read-only file system); choose another"),
    ],
)
def test_a_folder_that_cannot_be_written_is_reported(
    tmp_path: Path, number: int, expected: str
) -> None:
    """By its name, not by that of a file which would have been in it for a moment."""
    with pytest.raises(click.ClickException) as caught, plainly():
        raise OSError(number, os.strerror(number), str(tmp_path / ".titik.toml.new"))
    assert f"{tmp_path}: {expected}" in str(caught.value)


def test_a_file_that_cannot_be_read_is_reported(file: Path) -> None:
    """It is there, so its own name is the one to look at."""
    with pytest.raises(click.ClickException) as caught, plainly():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
    assert f"{file}: Permission denied; run as its owner or as root" == str(caught.value)
