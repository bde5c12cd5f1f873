"""The probe process and the result file that the agent reads."""

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.fake_clock import FakeClock
from tests.system.netns import AGENT, GATEWAY, NOBODY, Hotspot, hotspot, ip
from titik_agent.clock import SystemClock
from titik_agent.probe.process import (
    FAILED,
    NO_RIGHTS,
    NO_SCAPY,
    OK,
    Measure,
    ProbeSettings,
    one_round,
    run_probe,
    write_result,
)
from titik_agent.sources.probe_result import ProbeSource, decode_result, encode_result
from titik_wire.messages import Probe

BOOT = "b0a7-1"
SEEN = Probe(
    at_uptime_ms=900_000, gateway_up=True, icmp_ms=12.5, icmp_loss_ratio=0.2, lan_devices=7
)


def source(path: Path, up_ms: int = 1_000_000, boot: str = BOOT) -> ProbeSource:
    """The agent's end, for results of at most 200 s."""
    return ProbeSource(str(path), FakeClock(boot=boot, up_ms=up_ms), 200.0)


@pytest.mark.parametrize("probe", [SEEN, Probe(0, False), replace(SEEN, icmp_ms=None)])
def test_a_result_is_read_as_it_was_written(tmp_path: Path, probe: Probe) -> None:
    """What was not measured stays absent."""
    assert decode_result(encode_result(BOOT, probe), BOOT) == probe
    write_result(str(tmp_path / "new" / "result.json"), encode_result(BOOT, SEEN))
    assert source(tmp_path / "new" / "result.json").read() == SEEN


def test_no_probe_is_no_failure(tmp_path: Path) -> None:
    """Most routers have no scapy."""
    assert source(tmp_path / "none").read() is None
    assert source(tmp_path).read() is None


@pytest.mark.parametrize(
    ("up_ms", "boot", "expected"),
    [
        (1_100_000, BOOT, SEEN),
        (1_100_001, BOOT, None),  # too old
        (899_999, BOOT, None),  # of a future that this boot has not reached
        (1_000_000, "b0a7-2", None),  # of another boot
    ],
)
def test_a_stale_result_is_none(
    tmp_path: Path, up_ms: int, boot: str, expected: Probe | None
) -> None:
    """The probe has stopped; its last word is old."""
    path = tmp_path / "result.json"
    path.write_bytes(encode_result(BOOT, SEEN))
    assert source(path, up_ms, boot).read() == expected


def result(**changes: object) -> bytes:
    """A result with some values replaced."""
    return json.dumps({"boot": BOOT, **asdict(SEEN), **changes}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 4000,
        b"1" * 4000,
        result()[:-1],
        result() + b" " * 5000,
        result(boot=7),
        result(at_uptime_ms=-1),
        result(at_uptime_ms=True),
        result(at_uptime_ms=1.5),
        result(at_uptime_ms=2**53),
        result(gateway_up=1),
        result(gateway_up=None),
    ],
)
def test_a_damaged_result_is_none(content: bytes) -> None:
    """Whoever wrote it."""
    assert decode_result(content, BOOT) is None


@pytest.mark.parametrize("value", [-1, 1e400, float("nan"), "1", True, [], {}])
def test_a_figure_that_cannot_be_is_left_out(value: object) -> None:
    """The others stand."""
    found = decode_result(result(icmp_ms=value, icmp_loss_ratio=value, lan_devices=value), BOOT)
    assert found == Probe(at_uptime_ms=900_000, gateway_up=True)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_probe_or_none(content: bytes) -> None:
    """The parser raises nothing."""
    assert decode_result(content, BOOT) is None


def test_a_result_is_replaced_whole(tmp_path: Path) -> None:
    """Readable by the agent's user, and what a killed round left is swept away."""
    path = tmp_path / "result.json"
    (tmp_path / "result.json.new").write_bytes(b"half")
    for content in (b"one", b"two"):
        write_result(str(path), content)
        assert path.read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == ["result.json"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444


def test_a_result_is_never_written_through_a_link(tmp_path: Path) -> None:
    """Somebody with fewer rights may have put it there."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    for name in ("result.json", "result.json.new"):
        (tmp_path / name).symlink_to(victim)
    write_result(str(tmp_path / "result.json"), b"counts")
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / "result.json").read_bytes() == b"counts"


def measure(_: ProbeSettings, at_uptime_ms: int) -> Probe:
    """A round without a network."""
    return replace(SEEN, at_uptime_ms=at_uptime_ms)


def test_a_round_leaves_its_result(tmp_path: Path) -> None:
    """Stamped with this boot and its uptime."""
    path = tmp_path / "result.json"
    assert run_probe(ProbeSettings(str(path)), measure=measure, clock=FakeClock()) == OK
    assert source(path).read() == replace(SEEN, at_uptime_ms=1_000_000)


def failing(error: BaseException) -> Measure:
    """A round that ends like this."""

    def fail(_: ProbeSettings, __: int) -> Probe:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "output"),
    [
        (ImportError("scapy"), NO_SCAPY, "scapy is missing"),
        (PermissionError(1, "Operation not permitted"), NO_RIGHTS, "no right to raw sockets"),
        (PermissionError(13, "Permission denied", "/result"), FAILED, "failed"),
        (ValueError("a packet"), FAILED, "failed"),
        (MemoryError(), FAILED, "failed"),
    ],
)
def test_a_round_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception, code: int, output: str
) -> None:
    """An exit code for each remedy."""
    settings = ProbeSettings(str(tmp_path / "result.json"))
    assert run_probe(settings, measure=failing(error), clock=FakeClock()) == code
    assert output in caplog.text
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [ImportError("scapy"), PermissionError(1, "not permitted")])
@pytest.mark.usefixtures("caplog")
def test_what_no_further_round_can_mend_ends_the_process(error: Exception) -> None:
    """Even one that was asked to go on."""
    settings = ProbeSettings("/nowhere/result.json")
    code = run_probe(settings, 3600.0, measure=failing(error), clock=FakeClock())
    assert code in (NO_SCAPY, NO_RIGHTS)


class Ticking(FakeClock):
    """A clock whose every reading is a second later."""

    def monotonic(self) -> float:
        self.now_s += 1
        return self.now_s


def test_a_round_beyond_its_deadline_is_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And reaped: nothing of it stays."""

    def hang(_: ProbeSettings, __: int) -> Probe:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)
        return SEEN

    others = psutil.Process().children()  # of other tests, such as a browser; it may end
    settings = ProbeSettings(str(tmp_path / "result.json"), deadline_s=3.0)
    assert one_round(settings, hang, Ticking()) == FAILED
    assert "probe round killed deadline_s=3" in caplog.text
    assert set(psutil.Process().children()) <= set(others)


def test_a_round_is_limited(tmp_path: Path) -> None:
    """In memory and in priority; this process is not."""

    def limits(_: ProbeSettings, __: int) -> Probe:
        memory, _hard = resource.getrlimit(resource.RLIMIT_AS)
        return Probe(at_uptime_ms=memory, gateway_up=True, lan_devices=os.nice(0))

    path = tmp_path / "result.json"
    before = resource.getrlimit(resource.RLIMIT_AS), os.nice(0)
    nicer = min(3, 19 - before[1])  # these tests may be nice themselves
    settings = ProbeSettings(str(path), memory_bytes=1 << 40, nice=3)
    assert one_round(settings, limits, FakeClock()) == OK
    expected = Probe(at_uptime_ms=1 << 40, gateway_up=True, lan_devices=before[1] + nicer)
    assert decode_result(path.read_bytes(), BOOT) == expected
    assert (resource.getrlimit(resource.RLIMIT_AS), os.nice(0)) == before


@pytest.mark.usefixtures("caplog")
def test_a_round_that_eats_memory_ends_itself(tmp_path: Path) -> None:
    """Long before the router has none left."""

    def eat(_: ProbeSettings, __: int) -> Probe:
        bytearray(1 << 33)
        return SEEN

    settings = ProbeSettings(str(tmp_path / "result.json"), memory_bytes=1 << 32)
    assert one_round(settings, eat, FakeClock()) == FAILED


GOING_ON = """
import sys
from titik_agent.probe.process import ProbeSettings, run_probe
from titik_wire.messages import Probe
sys.exit(run_probe(ProbeSettings(sys.argv[1]), 3600.0, measure=lambda _, at: Probe(at, True)))
"""


@pytest.mark.thorough
def test_a_probe_that_goes_on_stops_when_asked(tmp_path: Path) -> None:
    """Between rounds there is no child, and SIGTERM is a clean end."""
    path = tmp_path / "result.json"
    command = (sys.executable, "-c", GOING_ON, str(path))
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(AGENT)}) as process:
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.terminate()
        assert process.wait(60) == OK
    assert path.exists()


# As important as all else here: scapy does not look at an answer for which it woke too late.
PROBE = """
import logging, sys
from titik_agent.probe.process import ProbeSettings, run_probe
logging.basicConfig(stream=sys.stderr)
settings = ProbeSettings({path!r}, {targets!r}, lan={lan!r}, deadline_s=600, nice=0)
sys.exit(run_probe(settings))
"""

# A machine with other work may give it the processor late.
PATIENTLY = """
from titik_agent.probe import round
round.SWEEP_WAIT_S = round.ECHO_WAIT_S = 5.0
"""

FORWARD = "with open('/proc/sys/net/ipv4/ip_forward', 'w') as file: file.write('1')"


def probed(
    place: Hotspot, path: Path, targets: tuple[str, ...], lan: tuple[str, ...] | None
) -> Probe:
    """What a real round in a namespace leaves."""
    place.python(PATIENTLY + PROBE.format(path=str(path), targets=targets, lan=lan))
    found = decode_result(path.read_bytes(), SystemClock().boot)
    assert found is not None
    return found


@pytest.mark.system
def test_a_round_counts_those_that_really_answer(tmp_path: Path) -> None:
    """Gateway, targets and LAN hosts in namespaces, asked by the real scapy within its limits."""
    path = tmp_path / "result.json"
    with hotspot(3) as place:
        # A host with two addresses is one device; of the two targets one does not exist.
        ip("-n", place.host(1), "address", "add", "192.0.2.200/24", "dev", "eth0")
        # And where there is no such host, the gateway says so: an answer, but not the host's.
        place.python(FORWARD, space=place.gateway)
        found = probed(place, path, (GATEWAY, NOBODY), None)
    assert found.icmp_ms is not None
    assert 0 < found.icmp_ms < 1000
    expected = Probe(found.at_uptime_ms, True, found.icmp_ms, icmp_loss_ratio=0.5, lan_devices=3)
    assert found == expected
    kinds = {type(value) for key, value in json.loads(path.read_bytes()).items() if key != "boot"}
    assert kinds == {int, float, bool}


@pytest.mark.system
def test_a_dead_uplink_is_seen(tmp_path: Path) -> None:
    """The gateway is silent, every echo is lost, and no LAN was to be swept."""
    with hotspot(0) as place:
        ip("-n", place.gateway, "link", "set", "eth0", "down")
        found = probed(place, tmp_path / "result.json", (GATEWAY,), ())
    assert found == Probe(found.at_uptime_ms, gateway_up=False, icmp_loss_ratio=1.0)


@pytest.mark.system
def test_a_round_without_a_route_is_a_round(tmp_path: Path) -> None:
    """Nothing is known of the targets' names, which nobody can resolve."""
    with hotspot(0) as place:
        ip("-n", place.router, "link", "del", "wan")
        found = probed(place, tmp_path / "result.json", ("host.invalid", NOBODY), ())
    assert found == Probe(found.at_uptime_ms, gateway_up=False, icmp_loss_ratio=1.0)


@pytest.mark.system
def test_an_uplink_without_arp_is_up_with_its_link(tmp_path: Path) -> None:
    """As PPPoE is: there is nobody to ask for a hardware address."""
    with hotspot(0) as place:
        ip("-n", place.router, "link", "set", "wan", "arp", "off")
        ip("-n", place.gateway, "address", "del", f"{GATEWAY}/30", "dev", "eth0")
        assert probed(place, tmp_path / "result.json", (), ()).gateway_up


@pytest.mark.system
def test_a_lan_too_large_is_not_swept(tmp_path: Path) -> None:
    """65,534 questions would fill the air, and a part of them would count too few."""
    with hotspot(1) as place:
        ip("-n", place.router, "address", "add", "10.9.0.1/16", "dev", "br-lan")
        assert probed(place, tmp_path / "result.json", (), None).lan_devices is None


@pytest.mark.system
def test_a_user_without_rights_is_reported(tmp_path: Path) -> None:
    """Before scapy is loaded, and whether or not it is there."""
    code = "import os; os.setuid(65534)\n" + PROBE.format(
        path=str(tmp_path / "result.json"), targets=(), lan=None
    ).replace("sys.exit(", "print(")
    # The imports come first: this user may not read where they lie.
    code = "import titik_agent.probe.process\n" + code
    with hotspot(0) as place:
        assert place.python(code) == f"{NO_RIGHTS}\n"


# As procd and ujail leave it: a user of no account, with the one capability of its file.
CONFINED = """
import ctypes, os, struct
import titik_agent.probe.process, titik_agent.probe.round, encodings.idna  # while these can be read
libc = ctypes.CDLL(None)
assert libc.prctl(8, 1, 0, 0, 0) == 0  # keep capabilities through setuid
os.setgroups([]); os.setgid(65534); os.setuid(65534)
rights = struct.pack("=IIIIII", {right}, {right}, 0, 0, 0, 0)  # effective, permitted, inheritable
assert libc.capset(struct.pack("=Ii", 0x20080522, 0), rights) == 0
"""
CAP_NET_RAW = 1 << 13


@pytest.mark.system
@pytest.mark.parametrize(("right", "devices"), [(CAP_NET_RAW, 2), (0, None)])
def test_raw_sockets_are_all_the_right_it_needs(right: int, devices: int | None) -> None:
    """And it does need them."""
    with tempfile.TemporaryDirectory() as folder, hotspot(2) as place:
        os.chmod(folder, 0o777)
        path = Path(folder) / "result.json"
        code = PROBE.format(path=str(path), targets=(GATEWAY,), lan=None).replace(
            "sys.exit", "print"
        )
        output = place.python(CONFINED.format(right=right) + PATIENTLY + code)
        found = decode_result(path.read_bytes(), SystemClock().boot) if path.exists() else None
    assert f"{OK if right else NO_RIGHTS}\n" == output
    assert devices == (None if found is None else found.lan_devices)
