"""What `titik-agent check` says to an installer."""

import fcntl
import re
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.not_root import nobody
from titik_agent import assemble, check, commands
from titik_agent.clock import SystemClock
from titik_agent.sources.flow_offload import FlowOffload
from titik_agent.sources.netdev import Interfaces
from titik_agent.sources.way_out import Way
from titik_mqtt.endpoint import Endpoint
from titik_wire.messages import Bss, Net


def test_a_host_that_no_name_can_be_is_reported_with_its_key() -> None:
    """A typing error in the configuration gives a line with the remedy, not a traceback."""
    output: list[str] = []
    reached = check.broker(Endpoint("mq..example", 1883, "tirosa-1"), output.append)

    assert not reached
    assert ["FAIL  dns: no address for mq..example"] == [line[:37] for line in output]
    assert "check broker.host" in output[0]


class Fixed:
    """A source of BSSes that gives these."""

    name, field = "hostapd", "bss"

    def __init__(self, *bsses: Bss) -> None:
        self._bsses = bsses

    def read(self) -> tuple[Bss, ...]:
        return self._bsses


@pytest.mark.parametrize(
    ("bsses", "warning"),
    [
        ((Bss("a", clients=0),), None),
        ((), "Wi-Fi is off"),
        ((Bss("a", off_air=True), Bss("b", clients=1)), "a is off the air"),
        ((Bss("a", clients=1, undercounted=True),), "a has several links (MLO)"),
    ],
)
def test_what_is_right_and_looks_wrong_is_a_warning(
    bsses: tuple[Bss, ...], warning: str | None
) -> None:
    """Wi-Fi that is off is no failure, and an under-count is not passed over."""
    output: list[str] = []
    assert check.sources([Fixed(*bsses)], output.append)
    assert "ok    source hostapd: " == output[0][:22]
    starts = [f"--    source hostapd: {warning}"] if warning else []
    assert starts == [line[: len(start)] for line, start in zip(output[1:], starts, strict=True)]


@pytest.mark.parametrize(
    ("is_openwrt", "remedy"),
    [
        (True, "uci set firewall.@defaults[0].flow_offloading=0"),
        (False, "take the rule `flow add` out of the firewall"),
    ],
)
def test_flow_offload_is_a_warning_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_openwrt: bool, remedy: str
) -> None:
    """Figures go on; whoever needs every byte learns how to get it."""
    service = tmp_path / "titik-agent"
    if is_openwrt:
        service.touch()
    monkeypatch.setattr(check, "_SERVICE", str(service))
    modules, output = tmp_path / "modules", list[str]()
    for users in (1, 0):
        modules.write_text(f"nft_flow_offload 16384 {users} - Live 0x0\n")
        assert check.sources([FlowOffload(str(modules))], output.append)
    on, warning, off = output
    assert ("ok    source flow_offload: on", "ok    source flow_offload: none here") == (on, off)
    assert warning.startswith("--    source flow_offload: bytes may be counted too low; if they")
    assert remedy in warning


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A router whose broker does not listen."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    file = tmp_path / "agent.toml"
    file.write_text(
        f'router = "tirosa-1"\nbroker = {{ host = "127.0.0.1", port = {port} }}\n'
        f'sources.hostapd = "off"\nspool.directory = "{tmp_path}/spool"\n'
    )
    return str(file)


def test_a_spool_that_cannot_be_written_is_reported_with_its_key(tmp_path: Path) -> None:
    """Before the agent is started there and ends; a folder that is not there yet is no failure."""
    output: list[str] = []
    folder = tmp_path / "spool"
    assert check.spool_folder(f"{folder}/of/router", output.append)
    folder.write_text("a file")
    assert not check.spool_folder(f"{folder}/of/router", output.append)
    folder.unlink()
    folder.mkdir(0o500)
    assert check.spool_folder(f"{tmp_path}/", output.append)
    with nobody():
        assert not check.spool_folder(str(folder), output.append)
    assert f"ok    spool: {folder}/of/router, not there yet" == output[0]
    assert f"FAIL  spool: {folder}: is no directory; name another as spool.directory" == output[1]
    assert f"ok    spool: {tmp_path}/" == output[2]
    assert "this user may not write there" in output[3]
    assert "name another spool.directory" in output[3]


@pytest.fixture
def not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name, TCP and TLS count as good, so that the login is tried."""
    monkeypatch.setattr(check, "broker", lambda *_: True)


def test_what_is_wrong_in_the_file_is_a_line_of_the_config_step(
    config: str, tmp_path: Path
) -> None:
    """The password's file too: an installer reads one list, from top to bottom."""
    text = Path(config).read_text().replace("host =", 'password_file = "secret", host =')
    Path(config).write_text(text)
    result = CliRunner().invoke(commands.titik_agent, ["check", "--config", config])

    assert 1 == result.exit_code
    assert [
        f"FAIL  config: broker.password_file: {tmp_path}/secret: No such file or directory"
    ] == [line.partition(";")[0] for line in result.output.splitlines()]


def test_settings_alone_can_be_checked(config: str, tmp_path: Path) -> None:
    """As an init script does before it starts the agent: nothing is tried, nothing is left."""
    good = CliRunner().invoke(commands.titik_agent, ["check", "--config-only", "--config", config])
    Path(config).write_text(f"interval_s = 0\n{Path(config).read_text()}")
    bad = CliRunner().invoke(commands.titik_agent, ["check", "--config-only", "--config", config])

    assert (0, ["ok    config"]) == (good.exit_code, [good.output.partition(":")[0]])
    assert 1 == good.output.count("\n")
    assert (1, True) == (
        bad.exit_code,
        bad.output.startswith(f"FAIL  config: {config}: interval_s"),
    )
    assert [Path(config)] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("uid", "output"),
    [
        (0, "--    user: root, who may read more than the agent's own user"),
        (2**31 - 7, "ok    user: 2147483641"),
    ],
)
def test_a_check_says_as_who_it_looks(
    monkeypatch: pytest.MonkeyPatch, uid: int, output: str
) -> None:
    """Root sees what the service's user may not."""
    monkeypatch.setattr("os.geteuid", lambda: uid)
    lines: list[str] = []
    check.user(lines.append)
    assert [output] == lines


@pytest.mark.parametrize(
    ("is_openwrt", "remedy"),
    [
        (False, 'add clock = "trusted" to agent.toml, above its first [section]'),
        (True, "add option clock 'trusted' to /etc/config/titik-agent"),
    ],
)
def test_a_clock_that_nobody_vouches_for_has_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_openwrt: bool, remedy: str
) -> None:
    """With the file and the place in it; at the end of a file it would be another section's."""
    service = tmp_path / "titik-agent"
    monkeypatch.setattr(check, "_SERVICE", str(service))
    if is_openwrt:
        service.touch()
    output: list[str] = []
    assert check.clock(SystemClock(marks=()), output.append)
    assert [f"--    clock: not known to be set; if it is right, {remedy}"] == output


@pytest.mark.usefixtures("not_looked_at")
def test_a_machine_that_is_no_access_point_is_reported_once_how_to_say_so(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Any Linux machine may report; the line that fails bears the remedy."""
    nothing = f'{{ hostapd = "control", control_dir = "{tmp_path}/none" }}'
    text = Path(config).read_text().replace('sources.hostapd = "off"', f"sources = {nothing}")
    Path(config).write_text(text)
    monkeypatch.setattr(check, "chain", lambda *_: True)
    result = CliRunner().invoke(commands.titik_agent, ["check", "--config", config])

    failed = [line for line in result.output.splitlines() if line.startswith("FAIL")]
    assert 1 == len(failed)
    assert failed[0].endswith('set hostapd = "off" under [sources] in agent.toml')
    assert [] == [one for one in caplog.records if one.name == "titik_agent.sampling.sampler"]


@pytest.mark.usefixtures("caplog", "not_looked_at")
@pytest.mark.thorough
def test_a_check_leaves_nothing_in_the_spools_directory(config: str, tmp_path: Path) -> None:
    """Installers check as root before the agent has run, as a user who may not write root's."""
    result = CliRunner().invoke(commands.titik_agent, ["check", "--config", config])

    assert "FAIL  login" in result.output
    assert not (tmp_path / "spool").exists()


@pytest.mark.usefixtures("not_looked_at")
def test_a_check_beside_an_agent_does_not_log_in(config: str, tmp_path: Path) -> None:
    """The broker knows both by one client id, and would evict the agent."""
    (tmp_path / "spool").mkdir()
    with open(tmp_path / "spool" / assemble.LOCK, "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = CliRunner().invoke(commands.titik_agent, ["check", "--config", config])

    assert "not tried: an agent runs" in result.output
    assert "login" not in result.output.replace("login, publish, ack: not tried", "")


@pytest.mark.usefixtures("not_looked_at")
def test_an_agent_s_own_check_does_not_log_in(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the lock says; and where memory runs out, it ends before the agent does."""
    ended_first: list[bool] = []
    monkeypatch.setattr(check, "die_first", lambda: ended_first.append(True))
    result = CliRunner().invoke(commands.titik_agent, ["check", "--beside", "--config", config])

    assert (True, False) == ("spool" in result.output, "login" in result.output)
    assert [True] == ended_first


@pytest.mark.usefixtures("not_looked_at")
@pytest.mark.parametrize(("other", "status"), [(False, 0), (True, 1)])
def test_a_check_fails_where_the_agent_that_runs_uses_another_broker(
    config: str, tmp_path: Path, other: bool, status: int
) -> None:
    """What these settings name was not tried, and is not what reports now."""
    (mine,) = re.findall(r"port = (\d+)", Path(config).read_text())
    at = "127.0.0.1:1" if other else f"127.0.0.1:{mine}"
    with assemble._alone(str(tmp_path / "spool"), f"tirosa-1 {at}"):
        result = CliRunner().invoke(commands.titik_agent, ["check", "--config", config])

    assert (status, other) == (
        result.exit_code,
        f"FAIL  login: not tried at 127.0.0.1:{mine}: the agent that runs in {tmp_path}/spool uses"
        " 127.0.0.1:1; stop it and check again, or restart it" in result.output.splitlines(),
    )


@pytest.mark.usefixtures("not_looked_at")
def test_a_check_fails_where_another_router_s_agent_has_the_spool(
    config: str, tmp_path: Path
) -> None:
    """Its own agent could not start there, and nobody has tried whether it may log in."""
    with assemble._alone(str(tmp_path / "spool"), "tirosa-2"):
        result = CliRunner().invoke(commands.titik_agent, ["check", "--config", config])

    assert 1 == result.exit_code
    assert (
        f"FAIL  spool: the agent of tirosa-2 runs in {tmp_path}/spool; restart it if that is this"
        " router's old name, else name another spool.directory"
    ) in result.output.splitlines()


class Nets(Interfaces):
    """Interfaces as `check.uplink` asks for them."""

    def __init__(self, ways: tuple[Way, ...], *nets: Net) -> None:
        super().__init__(None, None, "")
        self._ways, self._nets = ways, nets

    def ways(self) -> tuple[Way, ...]:
        return self._ways

    def net(self) -> tuple[Net, ...]:
        return self._nets


def about_uplink(ways: tuple[Way, ...], *nets: Net) -> list[str]:
    """What `check` says of it."""
    output: list[str] = []
    check.uplink(Nets(ways, *nets), (), output.append)
    return output


def test_the_uplink_is_reported_with_its_reason() -> None:
    """Each way out on a line of its own."""
    ways = Way("eth0", "br-lan", "br-lan has a default route, by eth0"), Way("eth1", "eth1", "why")
    assert [
        "ok    uplink: eth0; br-lan has a default route, by eth0",
        "ok    uplink: eth1; why",
    ] == about_uplink(ways, Net("eth0", "uplink", True, "b/1", 1, 1))


def test_an_uplink_that_is_likely_wrong_is_reported_so() -> None:
    """No default route, a bridge whose port is not known, and one that the bytes do not pass."""
    doubtful = Way("br-lan", "br-lan", "why", "look again")
    lan = Net("br-lan", "lan", True, "b/2", 60_000_000, 1)
    assert ["--    uplink: no default route"] == [one[:30] for one in about_uplink((), lan)]
    assert ["--    uplink: br-lan; why; look again"] == about_uplink((doubtful,))
    output = about_uplink((Way("wan", "wan", ""),), Net("wan", "uplink", True, "b/1", 28, 0), lan)
    assert "--    uplink: 0.0 MB have passed it since boot, 60.0 MB the visitors' side" in output[1]
