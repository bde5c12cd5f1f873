"""The control-socket source against a hostapd that hangs, lies, restarts and vanishes."""

import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.fake_hostapd import HANG, LATE, FakeBss, FakeHostapd, station
from tests.agent.test_control_replies import captured_stations
from tests.until import until
from titik_agent.clock import SystemClock
from titik_agent.hostapd import control_socket
from titik_agent.hostapd.control_socket import PUMP_EVENTS, Addresses, ControlSocket
from titik_agent.sampling.source import SourceError
from titik_agent.sampling.stations import Tracker
from titik_agent.sources import hostapd_control
from titik_agent.sources.hostapd_control import HostapdControl
from titik_agent.sources.visitors import Sketch
from titik_wire.messages import Bss

ONE, TWO, THREE = (f"02:00:00:00:0{n}:00" for n in (1, 2, 3))


class FixedCounters:
    """Byte counters of every interface but `gone`."""

    def bss_counters(self, ifname: str) -> tuple[str, int, int] | None:
        return None if ifname == "gone" else (f"boot/{ifname}", 10, 20)


class Bench:
    """A source under test and the directory it looks into."""

    def __init__(self, place: str) -> None:
        self.directory = os.path.join(place, "hostapd")
        self.place = place
        self.sketch = Sketch(SystemClock())
        self.source = HostapdControl(
            FixedCounters(), Tracker(), self.sketch, self.directory, Addresses(place)
        )

    def clients(self) -> dict[str, int | None]:
        return {bss.ifname: bss.clients for bss in self.source.read()}

    def tried(self) -> dict[str, int | None]:
        """The same where all of them may fail."""
        try:
            return self.clients()
        except SourceError:
            return {}

    def comes_to(self, expected: dict[str, int | None]) -> dict[str, int | None]:
        """The counts of a read in which this machine was quick enough for those who answer."""
        return until(self.tried, expected)

    def own_files(self) -> list[str]:
        """The sockets the source has bound."""
        return [name for path, _, names in os.walk(self.place) for name in names if "ctrl" in path]


@pytest.fixture
def bench() -> Iterator[Bench]:
    # Short: an address of a Unix socket has 107 bytes.
    with tempfile.TemporaryDirectory(prefix="titik") as place:
        bench = Bench(place)
        yield bench
        bench.source.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """So that a hang costs a test little; it is warned of."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(control_socket, "REQUEST_S", 0.05)


def quiet(_question: bytes) -> bytes:
    return HANG


def test_every_socket_is_a_bss(bench: Bench) -> None:
    """Captured stations of two BSSes give their counts, names, channel and bytes."""
    first = FakeBss("wlan0", b"Hotspot-Open", captured_stations("wlan0_after"))
    second = FakeBss("wlan0-1", b"Caf\xe9", captured_stations("wlan0-1_after"), 5180, 36)
    expected = (
        Bss(
            ifname="wlan0", ssid="Hotspot-Open", band="2g", channel=6, clients=3, active=3,
            weak=0, since="boot/wlan0", rx_bytes=10, tx_bytes=20,
        ),
        Bss(
            ifname="wlan0-1", ssid="Caf\ufffd", band="5g", channel=36, clients=2, active=2,
            weak=0, since="boot/wlan0-1", rx_bytes=10, tx_bytes=20,
        ),
    )  # fmt: skip
    with FakeHostapd(bench.directory, first, second):
        assert expected == bench.source.read()


def test_only_authorized_stations_count(bench: Bench) -> None:
    """One with a wrong key is listed for a while, and is no client."""
    wrong = station(TWO, flags="[AUTH][ASSOC][SHORT_PREAMBLE][WMM][HT]")
    with FakeHostapd(bench.directory, FakeBss("wlan0", stations=[wrong, station(ONE)])):
        assert {"wlan0": 1} == bench.clients()
        assert 1 == bench.sketch.count()


def test_what_is_no_bss_is_left_out(bench: Bench) -> None:
    """The global socket, whatever its name, and files that are no sockets."""
    other = FakeBss("mygate", mood=lambda _question: b"FAIL\n")
    with FakeHostapd(bench.directory, FakeBss("wlan0"), FakeBss("global"), other):
        Path(bench.directory, "notes").touch()
        assert {"wlan0": 0} == bench.clients()
        os.unlink(os.path.join(bench.directory, "notes"))


def test_no_hostapd_is_a_failure(bench: Bench) -> None:
    """An access point without BSSes is broken, not empty."""
    with pytest.raises(SourceError, match="hostapd is not running"):
        bench.source.read()


def test_no_bss_is_a_failure(bench: Bench) -> None:
    """A directory without sockets is what a hostapd that ended may leave."""
    os.mkdir(bench.directory)
    with pytest.raises(SourceError, match="no BSS in"):
        bench.source.read()


def test_a_stripped_hostapd_is_a_failure_that_says_why(bench: Bench) -> None:
    """It cannot list stations, so nothing can be counted."""
    mood = {b"STA-FIRST": b"UNKNOWN COMMAND\n"}.get
    with (
        FakeHostapd(bench.directory, FakeBss("wlan0", mood=mood)),
        pytest.raises(SourceError, match="cannot list stations"),
    ):
        bench.source.read()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", [b"STATUS", b"STA-FIRST", b"STA-NEXT " + TWO.encode()])
def test_a_bss_that_hangs_has_no_count(bench: Bench, command: bytes) -> None:
    """The other has; the bytes of both are known, for the kernel reports them."""
    stations = [station(ONE), station(TWO), station(THREE)]
    hanging = FakeBss("wlan0", stations=stations, mood={command: HANG}.get)
    with FakeHostapd(bench.directory, hanging, FakeBss("wlan1", stations=stations)):
        assert {"wlan0": None, "wlan1": 3} == bench.comes_to({"wlan0": None, "wlan1": 3})
        assert [10, 10] == [bss.rx_bytes for bss in bench.source.read()]


@pytest.mark.usefixtures("impatient")
def test_all_bsses_hanging_is_a_failure(bench: Bench) -> None:
    """The source then counts as failed."""
    with (
        FakeHostapd(bench.directory, FakeBss("wlan0", mood=quiet), FakeBss("wlan1", mood=quiet)),
        pytest.raises(SourceError, match="no answer in time"),
    ):
        bench.source.read()


@pytest.mark.usefixtures("caplog")
@pytest.mark.thorough
def test_a_hung_hostapd_cannot_use_up_the_time_of_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is waited for no longer than its share, and who did not answer is asked last."""
    monkeypatch.setattr(hostapd_control, "READ_S", 0.25)
    hung = [FakeBss(f"wlan{n}", mood=quiet) for n in range(3)]
    late = FakeBss("wlan9", mood=quiet)
    silent = dict.fromkeys(("wlan0", "wlan1", "wlan2"))

    def first() -> dict[str, int | None]:
        """What a source counts that does not know yet who hangs."""
        new = Bench(bench.place)
        try:
            return new.tried()
        finally:
            new.source.close()

    with FakeHostapd(bench.directory, *hung, late, FakeBss("xfine")):
        expected = {**silent, "wlan9": None, "xfine": 0}
        assert expected == until(first, expected)
        assert expected == bench.comes_to(expected)
        late.mood = None
        assert expected | {"wlan9": 0} == bench.comes_to(expected | {"wlan9": 0})


@pytest.mark.parametrize(
    "state", ["DISABLED", "DFS", "ACS", "UNINITIALIZED", "HT_SCAN", "COUNTRY_UPDATE", "NO_IR"]
)
def test_a_bss_off_the_air_has_no_clients_rather_than_none_now(bench: Bench, state: str) -> None:
    """It is heard when it is back; the others are not affected."""
    off = FakeBss("wlan1", status=f"state={state}\nfreq=0\nbss[0]=wlan1\nssid[0]=K\n")
    with FakeHostapd(bench.directory, FakeBss("wlan0", stations=[station(ONE)]), off) as hostapd:
        on, other = bench.source.read()
        assert (1, None) == (on.clients, on.off_air)
        assert (None, None, True, "K") == (other.clients, other.active, other.off_air, other.ssid)
        hostapd.event("wlan1", "AP-ENABLED ")
        assert bench.source.pump()


def link(ifname: str, number: int, *stations: str, freq_mhz: int = 2437) -> FakeBss:
    """A link of an access point with several (MLO): a socket of its own, and one SSID."""
    status = (
        f"state=ENABLED\nfreq={freq_mhz}\nbss[0]={ifname}\nssid[0]=Kota\n"
        f"mld_addr[0]=02:00:00:00:00:10\nmld_link_id[0]={number}\n"
    )
    return FakeBss(f"{ifname}_link{number}", stations=list(stations), status=status)


ON_BOTH = station(ONE) + "peer_addr[0]=02:00:5e:00:10:01\npeer_addr[1]=02:00:5e:00:11:01\n"


def test_links_of_one_access_point_are_one_bss(bench: Bench) -> None:
    """A phone on two of them counts once; name and bytes are those of their interface."""
    other = link("wlan0", 1, ON_BOTH, station(TWO), freq_mhz=5180)
    with FakeHostapd(bench.directory, link("wlan0", 0, ON_BOTH), other):
        (bss,) = bench.source.read()
        assert 2 == len(bench.source.filenos())
    assert ("wlan0", "Kota", 2, 10) == (bss.ifname, bss.ssid, bss.clients, bss.rx_bytes)
    assert (None, None, None) == (bss.band, bss.channel, bss.undercounted)


def test_one_link_alone_has_its_channel(bench: Bench) -> None:
    """Names longer than an interface's are no reason to pass over it."""
    plain = FakeBss("wlan1", stations=[station(TWO)])
    with FakeHostapd(bench.directory, link("phy0-ap-mld0", 0, station(ONE)), plain):
        assert {"phy0-ap-mld0": 1, "wlan1": 1} == bench.clients()
        assert "2g" == bench.source.read()[0].band


@pytest.mark.usefixtures("impatient")
def test_a_link_that_hangs_leaves_its_access_point_without_a_count(bench: Bench) -> None:
    """Its clients may be on that link."""
    hung = link("wlan0", 1)
    hung.mood = quiet
    with FakeHostapd(bench.directory, link("wlan0", 0, ON_BOTH), hung, FakeBss("wlan1")):
        assert {"wlan0": None, "wlan1": 0} == bench.comes_to({"wlan0": None, "wlan1": 0})


def test_a_socket_with_a_name_too_long_is_counted(bench: Bench) -> None:
    """A total without it would be a smaller number."""
    with FakeHostapd(bench.directory, FakeBss("wlan0"), FakeBss("a-name-without-end")):
        assert {"wlan0": 0, "a-name-without-": 0} == bench.clients()


@pytest.mark.usefixtures("caplog")
def test_a_late_answer_is_not_taken_for_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked in an earlier read is answered to a socket that is gone."""
    moods = iter([LATE])
    bss = FakeBss("wlan0", stations=[station(ONE)], mood=lambda _question: next(moods, None))
    with FakeHostapd(bench.directory, bss):
        with monkeypatch.context() as impatient:
            impatient.setattr(control_socket, "REQUEST_S", 0.05)
            assert {} == bench.tried()
        assert {"wlan0": 1} == bench.clients()


def test_a_failure_is_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """And so is its end."""
    caplog.set_level(logging.INFO)
    bss = FakeBss("wlan0", mood=quiet)
    with FakeHostapd(bench.directory, bss):
        with pytest.MonkeyPatch.context() as impatient:
            impatient.setattr(control_socket, "REQUEST_S", 0.05)
            for _ in range(2):
                assert {} == bench.tried()
        bss.mood = None
        for _ in range(2):
            bench.source.read()
    expected = [
        "bss unreadable bss=wlan0 reason=no answer in time",
        "bss readable again bss=wlan0",
    ]
    assert expected == caplog.messages


def test_a_station_that_leaves_while_listed_is_not_counted(bench: Bench) -> None:
    """The list begins again; it is neither cut off there nor does it fail."""
    bss = FakeBss("wlan0", stations=[station(ONE), station(TWO), station(THREE)])

    def leave(question: bytes) -> None:
        if question == b"STA-NEXT " + TWO.encode():
            bss.stations = [station(ONE), station(THREE)]

    bss.mood = leave
    with FakeHostapd(bench.directory, bss):
        assert {"wlan0": 2} == bench.clients()


def test_a_join_and_a_leave_are_heard(bench: Bench) -> None:
    """Between samples, through the descriptors."""
    with FakeHostapd(bench.directory, FakeBss("wlan0"), FakeBss("wlan1")) as hostapd:
        bench.source.read()
        assert 2 == len(bench.source.filenos())
        assert not bench.source.pump()
        hostapd.join("wlan1", ONE)
        assert bench.source.pump()
        assert not bench.source.pump()
        hostapd.leave("wlan1", ONE)
        assert bench.source.pump()


def test_a_visitor_between_samples_is_a_visitor(bench: Bench) -> None:
    """Who joins and leaves before anyone counts was there."""
    with FakeHostapd(bench.directory, FakeBss("wlan0")) as hostapd:
        bench.source.read()
        hostapd.join("wlan0", ONE)
        hostapd.leave("wlan0", ONE)
        bench.source.pump()
    assert 1 == bench.sketch.count()


def test_other_events_change_nothing(bench: Bench) -> None:
    """hostapd says much else."""
    with FakeHostapd(bench.directory, FakeBss("wlan0")) as hostapd:
        bench.source.read()
        hostapd.event("wlan0", f"AP-STA-POSSIBLE-PSK-MISMATCH {ONE}")
        hostapd.event("wlan0", f"RX-PROBE-REQUEST sa={ONE} signal=-30")
        assert not bench.source.pump()


def test_a_read_attaches_only_who_is_not(bench: Bench) -> None:
    """An older hostapd would send every event twice after a second ATTACH."""
    asked: list[bytes] = []
    with FakeHostapd(bench.directory, FakeBss("wlan0", mood=asked.append)):
        for _ in range(3):
            bench.source.read()
    assert 1 == asked.count(b"ATTACH")


def test_a_forgotten_listener_attaches_again(bench: Bench) -> None:
    """hostapd forgets who did not take its events for a while, and does not say so."""
    bss = FakeBss("wlan0")
    with FakeHostapd(bench.directory, bss) as hostapd:
        bench.source.read()
        bss.listeners.clear()
        bench.source.read()
        hostapd.join("wlan0", ONE)
        assert bench.source.pump()


def test_an_event_is_not_taken_for_an_answer(bench: Bench) -> None:
    """One that comes between a question and its answer is heard, and the answer awaited."""
    bss = FakeBss("wlan0")
    with FakeHostapd(bench.directory, bss) as hostapd:

        def chatter(question: bytes) -> None:
            if question.startswith(b"LEVEL"):
                hostapd.event("wlan0", f"AP-STA-CONNECTED {ONE}")

        bench.source.read()
        bss.mood = chatter
        known = list(bss.listeners)
        bench.source.read()
        assert known == bss.listeners
    assert 1 == bench.sketch.count()


def test_events_that_wait_do_not_keep_hostapd_from_answering(bench: Bench) -> None:
    """What nobody took fills hostapd's own send buffer, and then it can answer nobody."""
    bss = FakeBss("wlan0")
    with FakeHostapd(bench.directory, bss) as hostapd:
        bench.source.read()
        known = list(bss.listeners)
        while not bss.errors:
            hostapd.event("wlan0", f"RX-PROBE-REQUEST sa={ONE} signal=-30")
        assert {"wlan0": 0} == bench.clients()
        assert known == bss.listeners


def test_a_flood_of_events_does_not_hold_up_the_loop(bench: Bench) -> None:
    """A pump handles a bounded number of events, however fast others come."""
    heard: list[bytes] = []

    def hear(event: bytes) -> None:
        heard.append(event)
        hostapd.event("wlan0", "RX-PROBE-REQUEST")

    with FakeHostapd(bench.directory, FakeBss("wlan0")) as hostapd:
        listener = ControlSocket(
            Addresses(bench.place), os.path.join(bench.directory, "wlan0"), hear
        )
        assert listener.attach(time.monotonic() + 60)
        hostapd.event("wlan0", "RX-PROBE-REQUEST")
        listener.pump()
        listener.close()
    assert PUMP_EVENTS == len(heard)


@pytest.mark.usefixtures("caplog")
@pytest.mark.parametrize("clean", [True, False])
def test_a_hostapd_that_restarts_is_found_again(bench: Bench, clean: bool) -> None:
    """However it ended: failed while it is away, then counted and heard as before."""
    hostapd = FakeHostapd(bench.directory, FakeBss("wlan0", stations=[station(ONE)]))
    with hostapd:
        assert {"wlan0": 1} == bench.clients()
        hostapd.stop() if clean else hostapd.kill()
        assert clean == bench.source.pump()
        with pytest.raises(SourceError):
            bench.source.read()
        hostapd.start()
        assert {"wlan0": 1} == bench.clients()
        hostapd.join("wlan0", TWO)
        assert bench.source.pump()
        assert {"wlan0": 2} == bench.clients()


def test_a_restart_between_two_reads_is_no_gap(bench: Bench) -> None:
    """The listener of the old process is replaced in the same read."""
    hostapd = FakeHostapd(bench.directory, FakeBss("wlan0"))
    with hostapd:
        bench.source.read()
        hostapd.kill()
        hostapd.start()
        assert {"wlan0": 0} == bench.clients()
        hostapd.join("wlan0", ONE)
        assert bench.source.pump()


def test_a_bss_comes_and_goes(bench: Bench) -> None:
    """A new socket is a new BSS; what is gone is neither counted nor listened to."""
    with FakeHostapd(bench.directory, FakeBss("wlan0")):
        bench.source.read()
        more = FakeHostapd(bench.directory, FakeBss("wlan0-1", stations=[station(ONE)]))
        with more:
            assert {"wlan0": 0, "wlan0-1": 1} == bench.clients()
        assert {"wlan0": 0} == bench.clients()
        assert 1 == len(bench.source.filenos())


@pytest.mark.usefixtures("caplog")
def test_a_dead_bss_has_no_count(bench: Bench) -> None:
    """A socket whose hostapd was killed: its stations may still be there, nobody knows."""
    killed = FakeHostapd(bench.directory, FakeBss("wlan1", stations=[station(ONE)]))
    with FakeHostapd(bench.directory, FakeBss("wlan0")), killed:
        bench.source.read()
        killed.kill()
        assert {"wlan0": 0, "wlan1": None} == bench.clients()


@pytest.mark.usefixtures("caplog")
def test_events_refused_leave_the_counts(bench: Bench) -> None:
    """Without events there are samples at their interval."""
    bss = FakeBss("wlan0", stations=[station(ONE)], mood={b"ATTACH": b"FAIL\n"}.get)
    with FakeHostapd(bench.directory, bss):
        assert {"wlan0": 1} == bench.clients()
        assert () == bench.source.filenos()


def test_unknown_bytes_are_absent(bench: Bench) -> None:
    """An interface whose counters cannot be read has none; its clients are counted."""
    with FakeHostapd(bench.directory, FakeBss("gone", stations=[station(ONE)])):
        (bss,) = bench.source.read()
    assert (1, None, None, None) == (bss.clients, bss.since, bss.rx_bytes, bss.tx_bytes)


def test_nothing_is_left_behind(bench: Bench) -> None:
    """A read leaves the listener's socket, and close nothing at all."""
    with FakeHostapd(bench.directory, FakeBss("wlan0")):
        for _ in range(3):
            bench.source.read()
        assert 1 == len(bench.own_files())
        bench.source.close()
    assert [] == os.listdir(bench.place)


def test_our_sockets_are_out_of_others_reach(bench: Bench) -> None:
    """Their directory is ours alone."""
    with FakeHostapd(bench.directory, FakeBss("wlan0")):
        bench.source.read()
    (name,) = [name for name in os.listdir(bench.place) if name.startswith("titik-ctrl-")]
    assert 0o700 == os.stat(os.path.join(bench.place, name)).st_mode & 0o777


@pytest.mark.usefixtures("caplog")
def test_a_lost_directory_is_made_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that cleans /tmp may take it."""
    monkeypatch.setattr(control_socket, "REQUEST_S", 0.05)  # the listener's answer is lost
    with FakeHostapd(bench.directory, FakeBss("wlan0")):
        bench.source.read()
        for name in os.listdir(bench.place):
            if name.startswith("titik-ctrl-"):
                shutil.rmtree(os.path.join(bench.place, name))
        assert {"wlan0": 0} == bench.comes_to({"wlan0": 0})


def test_what_a_killed_agent_left_is_removed(bench: Bench) -> None:
    """Otherwise an agent that is killed every day fills the memory that /tmp is."""
    left = os.path.join(bench.place, "titik-ctrl-4194305-0123456789abcdef")  # above any pid
    living = os.path.join(bench.place, f"titik-ctrl-{os.getppid()}-0123456789abcdef")
    for directory in (left, living):
        os.mkdir(directory)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.bind(os.path.join(directory, "1"))
    with FakeHostapd(bench.directory, FakeBss("wlan0")):
        bench.source.read()
    assert (False, True) == (os.path.exists(left), os.path.exists(living))


def test_a_listener_is_safe_from_unknown_routers(bench: Bench) -> None:
    """Only hostapd can send to our sockets: whoever else does is refused by the kernel."""
    with FakeHostapd(bench.directory, FakeBss("wlan0")) as hostapd:
        bench.source.read()
        (listener,) = hostapd.bsses["wlan0"].listeners
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as intruder,
            pytest.raises(PermissionError),
        ):
            intruder.sendto(b"<3>AP-STA-CONNECTED " + ONE.encode(), listener)
        assert not bench.source.pump()


def test_more_bsses_than_the_contract_has_are_a_failure(bench: Bench) -> None:
    """Some of them would be a smaller number."""
    many = [FakeBss(f"wlan{n}") for n in range(65)]
    with FakeHostapd(bench.directory, *many), pytest.raises(SourceError, match="more than 64"):
        bench.source.read()
