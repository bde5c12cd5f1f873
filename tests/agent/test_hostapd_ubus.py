"""BSSes and radios of an OpenWrt router, from a hostapd behind a fake ubusd on a real socket."""

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.agent.fake_ubusd import FakeUbusd, Short, Wide, answer, capture, encode, hang, refuse
from tests.agent.test_sketch import FakeClock
from tests.until import until
from titik_agent.hostapd import frequency, ubus, ubus_blob
from titik_agent.sampling.source import SourceError
from titik_agent.sampling.stations import Tracker
from titik_agent.sources import hostapd_ubus
from titik_agent.sources.hostapd_ubus import HostapdUbus
from titik_agent.sources.survey import Survey
from titik_agent.sources.visitors import Sketch
from titik_wire.messages import Bss, Radio

AP0, AP1 = "hostapd.phy0-ap0", "hostapd.phy1-ap0"


class Counters:
    """Byte counters of the interfaces named."""

    def __init__(self, **counters: tuple[str, int, int]) -> None:
        self.counters = counters

    def bss_counters(self, ifname: str) -> tuple[str, int, int] | None:
        return self.counters.get(ifname.replace("-", "_"))


class Router:
    """A source with its ubusd, clock and collaborators."""

    def __init__(self, path: str) -> None:
        self.ubusd = FakeUbusd(path)
        self.ubusd.start()
        self.sketch = Sketch(FakeClock())
        self.seconds = 0.0
        self.source = HostapdUbus(
            Counters(phy0_ap0=("boot/12", 11, 22)),
            Tracker(lambda: self.seconds),
            self.sketch,
            paths=[path],
            monotonic=lambda: time.monotonic() + self.seconds,
        )

    def serve(self, path: str, clients: Any, status: Any = None) -> int:
        """Add a BSS that answers this; plain figures for its status unless given."""
        status = status or {"ssid": "Kota", "freq": 2437, "channel": 6, "phy": "phy0"}
        methods = {"get_clients": answer(clients), "get_status": answer(status)}
        return self.ubusd.add(path, methods)

    def read(self) -> tuple[Bss, ...]:
        bsses = self.source.read()
        assert bsses is not None
        return bsses

    def counts(self) -> list[int | None]:
        """The clients of each BSS; none where all of them fail."""
        try:
            return [bss.clients for bss in self.read()]
        except SourceError:
            return []

    def read_one(self) -> Bss:
        (bss,) = self.read()
        return bss


@pytest.fixture
def router(tmp_path: Any) -> Iterator[Router]:
    made = Router(str(tmp_path / "ubus.sock"))
    yield made
    made.source.close()
    made.ubusd.stop()


def client(mac: int, packets: int = 1, signal: int = -50, **other: Any) -> dict[str, Any]:
    moved = {"rx": packets, "tx": 0}
    station = {"auth": True, "assoc": True, "authorized": True, "signal": signal, "packets": moved}
    return {f"02:00:5e:00:{mac >> 8:02x}:{mac & 255:02x}": station | other}


def clients(*some: dict[str, Any], freq: int = 2437) -> dict[str, Any]:
    return {"freq": freq, "clients": {mac: each for one in some for mac, each in one.items()}}


def test_a_bss_is_described_in_full(router: Router) -> None:
    """Status, counts and the byte counters of its interface, not the sum over its clients."""
    status = capture("g-ubus-call-get_status-nonutf8.txt")
    router.serve(AP0, clients(client(1), client(2, signal=-80)), status)
    expected = Bss(
        ifname="phy0-ap0",
        ssid='Caf\ufffd 📶 "q"\\\ufffd\ufffd',
        band="2g",
        channel=1,
        utilization_ratio=0.675,
        clients=2,
        active=2,
        weak=1,
        since="boot/12",
        rx_bytes=11,
        tx_bytes=22,
    )
    assert expected == router.read_one()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "s-get_clients-ath9k-2102.txt",
            Bss("phy0-ap0", None, "2g", 11, None, clients=1, active=1, weak=0),
        ),
        (
            "s-get_clients-vht-2102.txt",
            Bss("phy0-ap0", None, "5g", 40, None, clients=1, active=1, weak=0),
        ),
        (
            "s-get_clients-no-driver-info.txt",
            Bss("phy0-ap0", None, "2g", 6, None, clients=1, active=None, weak=None),
        ),
    ],
)
def test_captured_replies_are_counted(router: Router, name: str, expected: Bss) -> None:
    """21.02 reports no SSID. A driver that fails reports no activity; the client still counts."""
    router.ubusd.add(AP0, {"get_clients": answer(capture(name))})
    bss = router.read_one()
    assert (expected.band, expected.channel) == (bss.band, bss.channel)
    assert (expected.clients, expected.active, expected.weak) == (bss.clients, bss.active, bss.weak)
    assert bss.ssid is None


def test_no_clients_are_zero(router: Router) -> None:
    """An empty hall is a count."""
    router.serve(AP0, clients())
    bss = router.read_one()
    assert (0, 0, 0) == (bss.clients, bss.active, bss.weak)


def test_stations_without_authorization_are_no_clients(router: Router) -> None:
    """A wrong key is listed by hostapd for a while."""
    router.serve(AP0, clients(client(1), client(2, authorized=False)))
    assert 1 == router.read_one().clients


def test_clients_whose_packets_stand_still_are_not_active(router: Router) -> None:
    """Seen from one read to the next."""
    router.serve(AP0, clients(client(1)))
    assert 1 == router.read_one().active
    router.seconds += 61
    bss = router.read_one()
    assert (1, 0) == (bss.clients, bss.active)


def test_an_impossible_signal_is_not_weak(router: Router) -> None:
    """0 and positive numbers come from drivers that do not know."""
    router.serve(AP0, clients(client(1, signal=0), client(2, signal=48)))
    assert router.read_one().weak is None


@pytest.mark.parametrize("rate", [72200, 72200 * 100])
def test_the_unit_of_rate_does_not_matter(router: Router, rate: int) -> None:
    """It became a hundred times larger in 23.05; nothing reads it."""
    router.serve(AP0, clients(client(1, rate={"rx": rate, "tx": rate})))
    bss = router.read_one()
    assert (1, 1, 0) == (bss.clients, bss.active, bss.weak)


def test_byte_counters_that_cannot_be_read_are_absent(router: Router) -> None:
    """Not zero."""
    router.serve(AP1, clients())
    bss = router.read_one()
    assert (None, None, None) == (bss.since, bss.rx_bytes, bss.tx_bytes)


def test_wired_ports_are_no_bss(router: Router) -> None:
    """hostapd of 25.12 has objects for 802.1X on a wire: no frequency, `authorized` alone."""
    wired = {"clients": {"02:00:5e:00:53:01": {"authorized": True}}}
    router.ubusd.add("hostapd.eth1", {"get_clients": answer(wired)})
    assert router.source.read() is None
    router.serve(AP0, clients(client(1)))
    assert "phy0-ap0" == router.read_one().ifname


def test_a_bss_without_a_channel_yet_is_a_bss(router: Router) -> None:
    """While it waits for radar to be absent its frequency is 0."""
    router.serve(AP0, clients(freq=0), {"ssid": "Kota", "freq": 0, "channel": 0})
    bss = router.read_one()
    assert (0, None, None) == (bss.clients, bss.band, bss.channel)


@pytest.mark.parametrize(
    "state", ["DISABLED", "DFS", "ACS", "UNINITIALIZED", "HT_SCAN", "COUNTRY_UPDATE", "NO_IR"]
)
def test_a_bss_off_the_air_has_no_clients_rather_than_none_now(router: Router, state: str) -> None:
    """Radar, no channel, a failed start: nobody can be its client. The other is not affected."""
    off = {"status": state, "ssid": "K", "freq": 0, "channel": 0, "phy": "phy1"}
    router.serve(AP0, clients(client(1)), {"status": "ENABLED", "ssid": "K", "freq": 2437})
    router.serve(AP1, clients(freq=0), off)
    on, other = router.read()
    assert (1, None) == (on.clients, on.off_air)
    assert (None, None, True, "K") == (other.clients, other.active, other.off_air, other.ssid)


def test_no_object_where_the_acl_works_is_wifi_that_is_off(router: Router) -> None:
    """A schedule switches it off at night; what the same ACL shows us says that none is hidden."""
    router.ubusd.add("service", {"watchdog": refuse(0)})
    assert () == router.source.read()
    assert () == router.source.statuses()
    router.serve(AP0, clients(client(1)))
    assert 1 == router.read_one().clients


LINKS = [{"freq": 2437}, {"freq": 5180}, {"freq": 5975}]


def test_a_bss_of_several_links_has_no_one_channel(router: Router) -> None:
    """It is one object, its clients are counted once; its first radio is that of another BSS."""
    reply = clients(client(1), client(2, assoc_link_id=1, links=[0, 1]))
    reply["ap_mld_address"] = "02:00:5e:00:53:ff"
    status = {"ssid": "Kota", "freq": 2437, "channel": 6, "phy": "phy0", "links": LINKS}
    router.serve("hostapd.ap-mld0", reply, status | {"airtime": airtime(5000, 900, 46)})
    for name, freq in (("phy0.0-ap0", 2437), ("phy0.1-ap0", 5180)):
        router.serve(f"hostapd.{name}", clients(freq=freq), {"freq": freq, "phy": "phy0"})
    mld, *_ = router.read()
    assert ("ap-mld0", 2, None, None) == (mld.ifname, mld.clients, mld.band, mld.channel)
    assert (None, None) == (mld.utilization_ratio, mld.undercounted)
    expected = (Radio("phy0.0", channel=6), Radio("phy0.1", channel=36))
    assert expected == Survey(router.source).read()


@pytest.mark.parametrize("name", ["ap-mld0", "phy0-ap-mld1"])
def test_a_bss_whose_further_links_are_hidden_says_so(router: Router, name: str) -> None:
    """hostapd of 25.12 lists the clients of the first link alone, under the name of all."""
    status = {"ssid": "Kota", "freq": 2437, "channel": 6, "phy": "phy0"}
    router.serve(f"hostapd.{name}", clients(client(1)), status)
    router.serve(AP0, clients(client(2)))
    marks = {bss.ifname: (bss.clients, bss.band, bss.undercounted) for bss in router.read()}
    assert {name: (1, None, True), "phy0-ap0": (1, "2g", None)} == marks


def test_a_client_twice_in_a_reply_is_one(router: Router) -> None:
    """In whatever case; it is authorized if either says so."""
    one, address = client(1), "02:00:5e:00:00:01"
    spelt = {address.upper(): {**one[address], "authorized": False}}
    router.serve(AP0, {"freq": 2437, "clients": one})
    assert 1 == router.read_one().clients
    twice = encode(one) + encode(spelt) + encode(one) + encode(client(2))
    reply = encode({"freq": 2437}) + ubus_blob.member(ubus_blob.TABLE, b"clients", twice)
    router.ubusd.add(AP1, {"get_clients": lambda: reply})
    assert 2 == router.read()[1].clients


def test_only_two_methods_are_asked(router: Router) -> None:
    """What the ACL has to grant."""
    router.serve(AP0, clients())
    router.source.read()
    router.ubusd.notify(AP0, "auth", {"address": "02:00:5e:00:53:01"}, reply=True)
    router.source.pump()
    assert {(AP0, "get_clients"), (AP0, "get_status")} == set(router.ubusd.calls)


def test_a_bss_that_fails_has_no_count(router: Router) -> None:
    """The others have theirs; without all there is no total."""
    router.serve(AP0, clients(client(1)))
    router.ubusd.add(AP1, {"get_clients": refuse(ubus.NOT_FOUND)})
    first, second = router.read()
    assert (1, None, "phy1-ap0") == (first.clients, second.clients, second.ifname)


def test_a_reply_that_is_garbage_is_a_bss_that_fails(router: Router) -> None:
    """Half a list is no list."""
    router.serve(AP0, clients(client(1)))
    whole = encode(clients(client(1), client(2)))
    router.ubusd.add(AP1, {"get_clients": lambda: whole[:-8]})
    assert [1, None] == [bss.clients for bss in router.read()]


def test_if_every_bss_fails_the_source_has_failed(router: Router) -> None:
    """Named in `failed`, with the reason."""
    router.ubusd.add(AP0, {"get_clients": refuse(ubus.PERMISSION_DENIED)})
    with pytest.raises(SourceError, match=r"permission denied .*acl\.d"):
        router.source.read()


def test_objects_hidden_by_the_acl_are_a_failure(router: Router) -> None:
    """ubusd does not refuse, it hides; the remedy is named."""
    router.ubusd.add(AP0, {}, hidden=True)
    with pytest.raises(SourceError, match=r"/usr/share/acl\.d/titik-agent\.json.*HUP ubusd"):
        router.source.read()


def test_no_object_at_all_is_a_failure(router: Router) -> None:
    """An access point without a BSS is not one without clients."""
    with pytest.raises(SourceError, match="the ACL hides them"):
        router.source.read()


def test_without_ubusd_the_source_fails(router: Router) -> None:
    """As any other."""
    router.ubusd.stop()
    with pytest.raises(SourceError, match="there is no ubusd"):
        router.source.read()


def test_a_hung_ubusd_costs_one_answer(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampling goes on without it."""
    monkeypatch.setattr(hostapd_ubus, "CALL_S", 0.1)
    router.ubusd.hung = True
    with pytest.raises(SourceError, match="no answer in time"):
        router.source.read()
    assert 1 == until(lambda: router.ubusd.connections, 1)


@pytest.mark.thorough
@pytest.mark.usefixtures("caplog")  # busy machines may ask not all of them
def test_a_hung_hostapd_costs_one_read_however_many_bsses(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for its answer, all together no longer than the whole read may take."""
    monkeypatch.setattr(hostapd_ubus, "READ_S", 0.1)  # one by one: a quarter of an hour
    for number in range(16):
        router.ubusd.add(f"hostapd.phy0-ap{number}", {"get_clients": hang})
    with pytest.raises(SourceError):
        router.source.read()


@pytest.mark.thorough
@pytest.mark.parametrize("healthy", [0, 3])
def test_a_healthy_bss_is_not_lost_with_three_that_hang(
    router: Router, monkeypatch: pytest.MonkeyPatch, healthy: int
) -> None:
    """Whichever it is; the others have no count, so there is no total."""
    monkeypatch.setattr(hostapd_ubus, "READ_S", 0.2)
    for number in range(4):
        path = f"hostapd.phy0-ap{number}"
        if number == healthy:
            router.serve(path, clients(client(1)))
        else:
            router.ubusd.add(path, {"get_clients": hang})
    expected = [1 if number == healthy else None for number in range(4)]
    assert expected == until(router.counts, expected)


def test_after_a_restart_of_ubusd_a_bss_that_is_not_back_has_no_count(
    router: Router, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """hostapd registers one after the other; for a minute that is no smaller number."""
    router.serve(AP0, clients(client(1)))
    router.serve(AP1, clients(client(2), client(3)))
    router.source.read()
    router.ubusd.stop()
    router.ubusd.start()
    router.ubusd.add("service", {"watchdog": refuse(0)})
    with pytest.raises(SourceError, match="not registered it again"):
        router.source.read()
    router.serve(AP0, clients(client(1)))
    assert {"phy0-ap0": 1, "phy1-ap0": None} == {one.ifname: one.clients for one in router.read()}
    target = router.serve(AP1, clients(client(2), client(3)))
    assert [1, 2] == [one.clients for one in router.read()]
    router.ubusd.remove(AP1)
    assert target
    assert [1] == [one.clients for one in router.read()]  # hostapd removed it: it is gone
    monkeypatch.setattr(hostapd_ubus, "REGISTERED_S", 0.0)
    router.serve(AP1, clients())
    router.read()
    router.ubusd.stop()
    router.ubusd.start()
    router.serve(AP0, clients(client(1)))
    assert [1] == [one.clients for one in router.read()]  # it never came back
    caplog.clear()


def test_after_wifi_reload_the_new_objects_are_read(router: Router) -> None:
    """Same names, new ids; no BSS that is gone is counted."""
    router.serve(AP0, clients(client(1)))
    router.serve(AP1, clients(client(2)))
    router.source.read()
    router.ubusd.remove(AP0)
    router.ubusd.remove(AP1)
    router.serve(AP0, clients(client(1), client(3)))
    assert router.source.pump()
    bss = router.read_one()
    assert ("phy0-ap0", 2) == (bss.ifname, bss.clients)
    router.ubusd.notify(AP0, "sta-authorized", {"address": "02:00:5e:00:53:09"})
    assert router.source.pump()


def test_a_quiet_router_is_asked_for_its_clients_alone(router: Router) -> None:
    """No connection is opened and nothing is looked up, because events say what came or went."""
    router.serve(AP0, clients(client(1)))
    router.read()
    router.read()
    before = router.ubusd.connections, len(router.ubusd.lookups)
    assert [1, 1, 1] == [router.read_one().clients for _ in range(3)]
    assert before == (router.ubusd.connections, len(router.ubusd.lookups))


def test_what_no_event_says_is_found_in_the_end(router: Router) -> None:
    """An ACL that is read again shows objects that were there before."""
    router.serve(AP0, clients(client(1)))
    router.ubusd.allows = lambda _user, path, _method: path == AP0
    router.serve(AP1, clients(client(2)))
    for _ in range(2):
        router.read()
    router.ubusd.allows = lambda *_: True
    assert 1 == len(router.read())
    router.seconds += hostapd_ubus.LOOKUP_S
    assert 2 == len(router.read())


def test_a_reload_behind_a_flood_is_not_missed(router: Router) -> None:
    """A read hears a piece of what came; what waits behind it may be the end of a BSS."""
    router.serve(AP0, clients(client(1)))
    router.serve(AP1, clients(client(2)))
    for _ in range(2):
        router.read()
    address = {"address": "02:00:5e:00:53:01"}
    router.ubusd.notify(AP0, "probe", address, times=400)
    router.ubusd.remove(AP1)
    assert [1] == router.counts()


def test_an_answer_that_comes_too_late_costs_the_connection(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next read has one of its own, and looks up what is there."""
    router.serve(AP0, clients(client(1)))
    router.ubusd.add(AP1, {"get_clients": hang})
    with monkeypatch.context() as short:
        short.setattr(hostapd_ubus, "CALL_S", 0.1)
        router.counts()
    before = router.ubusd.connections, len(router.ubusd.lookups)
    router.ubusd.remove(AP1)
    assert [1] == router.counts()
    connections, lookups = before
    assert (connections + 1, lookups + 1) == (router.ubusd.connections, len(router.ubusd.lookups))


def test_the_clients_of_a_bss_that_is_gone_are_forgotten(router: Router) -> None:
    """One of them cannot leave another BSS."""
    router.serve(AP0, clients(client(1)))
    router.serve(AP1, clients())
    router.source.read()
    router.ubusd.remove(AP0)
    router.source.pump()
    router.source.read()
    router.ubusd.notify(AP1, "deauth", {"address": "02:00:5e:00:00:01"})
    assert not router.source.pump()


def test_after_a_restart_of_ubusd_events_are_heard_again(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    """The next read connects and subscribes again."""
    router.serve(AP0, clients(client(1)))
    router.source.read()
    router.ubusd.stop()
    assert not router.source.pump()
    assert () == router.source.filenos()
    router.ubusd.start()
    router.serve(AP0, clients(client(1)))
    assert 1 == router.read_one().clients
    assert 1 == len(router.source.filenos())
    router.ubusd.notify(AP0, "sta-authorized", {"address": "02:00:5e:00:53:09"})
    assert router.source.pump()
    assert ["ubus events lost"] == [record.message[:16] for record in caplog.records]
    caplog.clear()


def test_each_object_is_subscribed_once(router: Router) -> None:
    """However often it is read."""
    router.serve(AP0, clients())
    router.source.read()
    router.source.read()
    assert 1 == router.ubusd.subscriptions(AP0)


@pytest.mark.parametrize(
    ("event", "changed"),
    [
        ("probe", False),
        ("auth", False),
        ("assoc", False),
        ("sta-authorized", True),
        ("disassoc", True),
        ("deauth", True),
        ("local-deauth", True),
        ("inactive-deauth", True),
        ("key-mismatch", True),
        ("beacon-report", False),
    ],
)
def test_requests_are_no_joins(router: Router, event: str, changed: bool) -> None:
    """`assoc` is asked before hostapd agrees; `sta-authorized` means that the client is on."""
    router.serve(AP0, clients(client(1)))
    router.source.read()
    router.ubusd.notify(AP0, event, {"address": "02:00:5e:00:00:01"})
    assert changed == router.source.pump()
    assert not router.source.pump()


def test_a_station_that_was_no_client_cannot_leave(router: Router) -> None:
    """A phone with the wrong key is sent away again and again; no sample is taken for it."""
    router.serve(AP0, clients(client(1)))
    router.source.read()
    router.ubusd.notify(AP0, "deauth", {"address": "02:00:5e:00:00:77"})
    assert not router.source.pump()


def test_a_flood_of_probes_takes_no_sample(router: Router) -> None:
    """And the join behind it is heard."""
    router.serve(AP0, clients())
    router.source.read()
    router.ubusd.notify(AP0, "probe", {"address": "02:00:5e:00:00:77"}, times=500)
    router.ubusd.notify(AP0, "sta-authorized", {"address": "02:00:5e:00:00:77"})
    pumps = [router.source.pump() for _ in range(12)]
    assert not pumps[0]
    assert 1 == sum(pumps)


def test_events_the_acl_refuses_are_missed_and_logged_once(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    """Counts go on at the interval."""
    router.ubusd.refuse_subscribe = True
    router.serve(AP0, clients(client(1)))
    assert 1 == router.read_one().clients
    assert 1 == router.read_one().clients
    assert ["ubus events missing, counting at samples only reason=hostapd.phy0-ap0: not found"] == [
        record.message for record in caplog.records if record.levelno >= logging.WARNING
    ]
    caplog.clear()


def test_without_the_right_to_listen_the_end_of_an_object_is_still_heard(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    """ubusd informs subscribers that their object is gone."""
    router.ubusd.refuse_listen = True
    router.serve(AP0, clients())
    router.source.read()
    router.ubusd.remove(AP0)
    assert router.source.pump()
    assert 1 == len(caplog.records)
    caplog.clear()


def test_every_client_is_a_visitor(router: Router) -> None:
    """Also one that came and went between two reads."""
    router.serve(AP0, clients(client(1), client(2), client(3, authorized=False)))
    router.source.read()
    assert 2 == router.sketch.count()
    router.ubusd.notify(AP0, "sta-authorized", {"address": "02:00:5e:00:53:09"})
    router.source.pump()
    assert 3 == router.sketch.count()


@pytest.mark.thorough
def test_more_clients_than_are_tracked_are_counted(router: Router) -> None:
    """5000 on one BSS: the count is right, and saturation is reported."""
    router.serve(AP0, clients(*(client(number) for number in range(5000))))
    bss = router.read_one()
    assert (5000, None, 0) == (bss.clients, bss.active, bss.weak)
    assert router.source.saturated


def test_more_bsses_than_a_sample_holds_are_a_failure(router: Router) -> None:
    """The first 64 would be a smaller number than all."""
    for number in range(65):
        router.ubusd.add(f"hostapd.ap{number}", {})
    with pytest.raises(SourceError, match="more than 64"):
        router.source.read()


def test_a_name_longer_than_an_interface_s_is_not_lost(router: Router) -> None:
    """Whatever it is, its clients are clients."""
    router.serve("hostapd.a-name-without-end", clients(client(1)))
    router.serve(AP0, clients(client(2)))
    assert {"a-name-without-": 1, "phy0-ap0": 1} == {
        bss.ifname: bss.clients for bss in router.read()
    }


def airtime(active: int, busy: int, used: int) -> dict[str, Any]:
    return {"time": Wide(active), "time_busy": Wide(busy), "utilization": Short(used)}


def test_radios_come_from_the_statuses_of_the_same_read(router: Router) -> None:
    """One of each PHY, though two BSSes share it; hostapd is asked once."""
    status = {"ssid": "Kota", "freq": 2437, "channel": 6, "phy": "phy0"}
    router.serve(AP0, clients(), status | {"airtime": airtime(5000, 900, 46)})
    router.serve("hostapd.phy0-ap1", clients(), status | {"airtime": airtime(5000, 900, 46)})
    router.source.read()
    asked = len(router.ubusd.calls)
    radio = Radio("phy0", channel=6, airtime_busy_ms=900, airtime_active_ms=5000)
    assert (radio,) == Survey(router.source).read()
    assert asked == len(router.ubusd.calls)


def test_radios_of_one_phy_are_distinguished(router: Router) -> None:
    """A multi-radio PHY has interfaces phy0.0-ap0 and phy0.1-ap0, and one `phy`."""
    router.serve("hostapd.phy0.0-ap0", clients(), {"freq": 2437, "phy": "phy0"})
    router.serve("hostapd.phy0.1-ap0", clients(), {"freq": 5180, "phy": "phy0"})
    router.source.read()
    expected = (Radio("phy0.0", channel=6), Radio("phy0.1", channel=36))
    assert expected == Survey(router.source).read()


def test_radios_of_one_phy_with_names_of_their_own_are_distinguished(router: Router) -> None:
    """By their bands; a name stays while another band is off the air."""
    bands = {"wifi24": (2437, 1_000_000, 900_000), "wifi5": (5180, 2_000_000, 200_000)}
    bands["wifi6"] = (5975, 3_000_000, 3000)
    survey = Survey(router.source)
    for ifname, (freq, active, busy) in bands.items():
        air = airtime(active, busy, 1)
        router.serve(f"hostapd.{ifname}", clients(), {"freq": freq, "phy": "phy0", "airtime": air})
    router.source.read()
    expected = (
        Radio("phy0-2g", 6, airtime_busy_ms=900_000, airtime_active_ms=1_000_000),
        Radio("phy0-5g", 36, airtime_busy_ms=200_000, airtime_active_ms=2_000_000),
        Radio("phy0-6g", 5, airtime_busy_ms=3000, airtime_active_ms=3_000_000),
    )
    assert expected == survey.read()
    for ifname in ("wifi5", "wifi6"):
        router.ubusd.remove(f"hostapd.{ifname}")
    router.serve("hostapd.wifi6", clients(freq=0), {"freq": 0, "phy": "phy0", "status": "DFS"})
    router.source.read()
    assert expected[:1] == survey.read()


def test_a_radio_without_a_survey_has_no_airtime(router: Router) -> None:
    """Zero time observed is not zero time busy."""
    router.serve("hostapd.wlan0", clients(), {"freq": 2437, "airtime": airtime(0, 0, 0)})
    assert router.read_one().utilization_ratio is None
    assert (Radio("wlan0", channel=6),) == Survey(router.source).read()


def test_radios_fail_with_hostapd(router: Router) -> None:
    """Nothing of an earlier read is repeated."""
    router.serve(AP0, clients())
    router.source.read()
    router.ubusd.remove(AP0)
    with pytest.raises(SourceError):
        router.source.read()
    with pytest.raises(SourceError, match="could not be asked"):
        Survey(router.source).read()


@pytest.mark.parametrize(
    ("mhz", "band", "channel"),
    [
        (2412, "2g", 1),
        (2484, "2g", 14),
        (4920, "5g", 184),
        (5180, "5g", 36),
        (5885, "5g", 177),
        (5935, "6g", 2),
        (5955, "6g", 1),
        (7115, "6g", 233),
        (58320, "60g", 1),
        (0, None, None),
        (900, None, None),
        (4294967295, None, None),
    ],
)
def test_frequencies_have_bands_and_channels(
    mhz: int, band: str | None, channel: int | None
) -> None:
    """As 802.11 numbers them."""
    assert (band, channel) == (frequency.band(mhz), frequency.channel(mhz))
