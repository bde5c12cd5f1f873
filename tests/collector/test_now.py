"""This moment: rates between two samples, sums over sites, and silence about the absent."""

import random
from collections.abc import Iterable
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import Literal

import pytest

from tests.collector.build import T0, Registered, opened, received, sample
from tests.collector.test_presence import reported
from tests.wire.examples import topic_of
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.items import to_item
from titik_collector.live.now import LiveState, bps
from titik_collector.live.presence import Presence
from titik_collector.received import Item, StatusReceived
from titik_collector.registry.registry import Registry
from titik_collector.store.registry_rows import PlacedRouter
from titik_wire import codec
from titik_wire.messages import Host, Net, Probe, Reach, Sample

NAMES = ("tirosa-1", "tirosa-2", "solor-1")


class Places(Registry):
    """Two routers at one site, one at another."""

    def __init__(self) -> None:
        self.city = "kupang"
        self.at: dict[str, str | None] = dict(
            zip(NAMES, ("tirosa", "tirosa", "solor"), strict=True)
        )

    def routers(self) -> Iterable[PlacedRouter]:
        return [PlacedRouter(NAMES.index(name) + 1, name, site) for name, site in self.at.items()]

    def sites(self) -> Iterable[tuple[int, str]]:
        return [(1, "tirosa"), (2, "solor")]


def test_rates_are_counter_differences_over_uptime() -> None:
    """1 MB in 30 s are 266,666 bit/s; the wall clock plays no part."""
    assert (266_666, 26_666, 293_333, 29_333) == bps(sample(1), sample(2, taken_at=T0 + 999))


def test_a_restarted_counter_has_no_rate() -> None:
    """Unknown, not zero and not the whole counter."""
    old, new = sample(1), sample(2, boot="0" * 8)
    reset = replace(sample(2), bss=tuple(replace(one, tx_bytes=5) for one in sample(2).bss or ()))

    assert (None,) * 4 == bps(old, new)
    assert (None, None) == bps(old, reset)[:2]


def test_every_uplink_counts_and_each_must_be_known() -> None:
    """Two lines are summed; while one restarts, their sum is unknown."""
    second = Net("wanb", "uplink", True, "b/9", 0, 0)
    old, new = (replace(sample(n), net=(*(sample(n).net or ()), second)) for n in (1, 2))
    grown = replace(new, net=(*(sample(2).net or ()), replace(second, rx_bytes=30_000)))
    restarted = replace(new, net=(*(sample(2).net or ()), replace(second, since="b/9#1")))
    assert (293_333 + 8_000, 29_333) == bps(old, grown)[2:]
    assert (None, None) == bps(old, restarted)[2:]


def test_sites_and_the_city_sum_those_that_are_online(tmp_path: Path) -> None:
    """An absent router has no figures, and is counted among the known."""
    with opened(tmp_path / "db", NAMES) as db:
        presence = Presence(db)
        live = LiveState(db, presence, Places())
        for number in (1, 2):
            about = replace(reported("online", 0).status, router=NAMES[number - 1])
            presence.record([(number, StatusReceived(about, T0))])
            for seq in (1, 2):
                live.show(number, sample(seq, router=NAMES[number - 1]), T0 + seq * 30_000)
        presence.record([(2, StatusReceived(replace(about, state="stopping"), T0))])
        now = {(one.scope, one.name): one for one in live.messages({1, 2, 3}, T0 + 65_000)}

    router, gone = now["router", "tirosa-1"], now["router", "tirosa-2"]
    site, city = now["site", "tirosa"], now["city", "kupang"]
    assert ("online", 3, 266_666, 5000) == (
        router.state, router.clients, router.wifi_down_bps, router.age_ms,
    )  # fmt: skip
    assert ("offline", None, None) == (gone.state, gone.clients, gone.wifi_down_bps)
    assert ("online", 3, 1, 2) == (
        site.state, site.clients, site.routers_online, site.routers_known,
    )  # fmt: skip
    assert (3, 1, 3) == (city.clients, city.routers_online, city.routers_known)
    assert ("unknown", None) == (now["site", "solor"].state, now["site", "solor"].clients)


def test_a_router_with_its_wifi_off_says_so(tmp_path: Path) -> None:
    """It is online, and its clients are unknown, not zero; a site with others says nothing."""
    with opened(tmp_path / "db", NAMES) as db:
        presence = Presence(db)
        live = LiveState(db, presence, Places())
        off = sample(1, clients=None, bss=(), off_air=True)
        for number, one in ((1, off), (2, replace(sample(1), router="tirosa-2"))):
            about = replace(reported("online", 0).status, router=one.router)
            presence.record([(number, StatusReceived(about, T0))])
            live.show(number, one, T0)
        now = {one.name: one for one in live.messages({1, 2}, T0)}

    router, site = now["tirosa-1"], now["tirosa"]
    assert ("online", None, True) == (router.state, router.clients, router.off_air)
    assert (None, None) == (now["tirosa-2"].off_air, site.off_air)
    assert 3 == site.clients
    codec.encode(router)


def test_a_router_says_what_only_its_sample_had(tmp_path: Path) -> None:
    """What does not add up is of the router alone, and only while it is online."""
    host = Host(5523, 0.31, 0.12, 125_829_120, 61_865_984, 4_718_592, 58.5)
    reach = Reach(dns_ms=12.5, dns_failures=3, tcp_ms=31.0, attempts=184, answered=180)
    probe = Probe(5_500_000, True, 28.4, 0.0, 19)
    one = sample(1, leases=21, host=host, reach=reach, probe=probe)
    with opened(tmp_path / "db", NAMES) as db:
        presence = Presence(db)
        live = LiveState(db, presence, Places())
        presence.record([(1, StatusReceived(reported("online", 0).status, T0))])
        live.show(1, one, T0)
        router, *others = live.messages({1}, T0)
        presence.record([(1, StatusReceived(reported("offline", 1).status, T0))])
        others += live.messages({1}, T0)

    names = (
        *("leases", "dns_ms", "tcp_ms", "gateway_up", "icmp_ms", "icmp_loss_ratio"),
        *("lan_devices", *(field.name for field in fields(Host))),
    )
    expected = (21, 12.5, 31.0, True, 28.4, 0.0, 19, *astuple(host))
    assert expected == tuple(getattr(router, name) for name in names)
    assert router == codec.decode("titik/v1/now/router/tirosa-1", codec.encode(router))
    assert {None} == {getattr(other, name) for other in others for name in names}


def test_rates_that_may_be_too_low_are_marked_up_to_the_city(tmp_path: Path) -> None:
    """While the router that has flow offload on is online, and no longer."""
    with opened(tmp_path / "db", NAMES) as db:
        presence = Presence(db)
        live = LiveState(db, presence, Places())
        presence.record([(1, StatusReceived(reported("online", 0).status, T0))])
        marks = []
        for seq, flow_offload in ((1, True), (2, None), (3, True)):
            live.show(1, sample(seq, flow_offload=flow_offload), T0)
            marks.append({one.flow_offload for one in live.messages({1}, T0)})
        presence.record([(1, StatusReceived(reported("offline", 1).status, T0))])
        marks.append({one.flow_offload for one in live.messages({1}, T0)})
    assert [{True}, {None}, {True}, {None}] == marks


def test_an_older_sample_never_replaces_a_newer(tmp_path: Path) -> None:
    """Delivery may be late."""
    with opened(tmp_path / "db") as db:
        presence = Presence(db)
        presence.record([(1, reported("online", 0))])
        live = LiveState(db, presence, Places())
        live.show(1, sample(2, clients=9), T0)
        live.show(1, sample(1, clients=1), T0)

        assert 9 == live.messages({1}, T0)[0].clients


def test_a_start_takes_the_present_from_the_store(tmp_path: Path) -> None:
    """A restarted collector knows the rates at once."""
    with opened(tmp_path / "db") as db:
        BatchWriter(db, Registered()).save(
            [to_item(received(sample(n), True), T0) for n in (1, 2, 3)]
        )
        presence = Presence(db)
        presence.record([(1, reported("online", 0))])
        live = LiveState(db, presence, Places())
        live.load()

        assert (3, 266_666) == (
            live.messages({1}, T0)[0].clients,
            live.messages({1}, T0)[0].wifi_down_bps,
        )


def test_no_router_can_push_a_figure_out_of_the_contract(tmp_path: Path) -> None:
    """What one router claims must not keep the collector from speaking of the others."""
    most = 2**53 - 1
    with opened(tmp_path / "db", NAMES) as db:
        presence = Presence(db)
        live = LiveState(db, presence, Places())
        for number in (1, 2):
            about = replace(reported("online", 0).status, router=NAMES[number - 1])
            presence.record([(number, StatusReceived(about, T0))])
            for seq in (1, 2):
                claim = sample(seq, router=NAMES[number - 1], clients=most, uptime_ms=seq)
                net = replace(claim.net[0], rx_bytes=(seq - 1) * most)  # type: ignore[index]
                live.show(number, replace(claim, net=(net,)), T0 + seq)
        messages = live.messages({1, 2, 3}, T0 + 65_000)

    assert messages == [codec.decode(topic_of(one), codec.encode(one)) for one in messages]
    one = next(one for one in messages if one.name == "tirosa-1")
    assert (None, None) == (one.clients, one.uplink_down_bps)


State = Literal["online", "stopping", "offline"]


@pytest.mark.thorough
def test_sums_kept_up_to_date_are_those_of_a_fresh_state(tmp_path: Path) -> None:
    """Whoever reports, leaves, falls silent, returns, moves or is removed, in any order."""
    rand = random.Random(3)
    with opened(tmp_path / "db", NAMES) as db:
        presence, places = Presence(db), Places()
        live = LiveState(db, presence, places)
        stale: set[int] = set()
        placed = False
        shown: list[tuple[int, Sample, int]] = []
        for step in range(1, 400):
            number = rand.randrange(1, 4)
            name, now_ms = NAMES[number - 1], T0 + step * 1000
            match rand.randrange(5):
                case 0 | 1:
                    uptime_ms = step * 1000 + rand.randrange(30_000)
                    one = sample(step, router=name, clients=rand.choice((None, 0, 7)))
                    taken_at = now_ms - rand.randrange(50_000)
                    one = replace(one, uptime_ms=uptime_ms, taken_at=taken_at)
                    shown.append((number, one, now_ms))
                    live.show(number, one, now_ms)
                    stale.add(number)
                case 2:
                    about = replace(reported("online", 0).status, router=name, connection=step)
                    states: tuple[State, ...] = ("online", "stopping", "offline")
                    about = replace(about, state=rand.choice(states))
                    presence.record([(number, StatusReceived(about, now_ms))])
                case 3:
                    presence.tick(now_ms + rand.choice((0, 121_000)), [1, 2, 3])
                case _:
                    if rand.random() < 0.3 and name in places.at:
                        del places.at[name]
                    else:
                        places.at[name] = rand.choice(("tirosa", "solor", None))
                    live.place()
                    placed = True
            if rand.random() < 0.5:
                stale |= presence.take_changed()
                messages = live.everything(now_ms) if placed else live.messages(stale, now_ms)
                stale, placed = set(), False
                fresh = LiveState(db, presence, places)
                for router_id, one, arrived_ms in shown:
                    fresh.show(router_id, one, arrived_ms)
                right = {(one.scope, one.name): one for one in fresh.everything(now_ms)}
                assert [right[one.scope, one.name] for one in messages] == messages, step


NEXT_RUN = "4d2c41d07be35a63"
NEXT_BOOT = "6b0f0000-0000-4000-8000-000000000009"


@pytest.mark.parametrize("wrong_ms", [-18_000_000, -40_000, 0, 60_000])
def test_the_newest_boot_is_the_present_whatever_its_clock_says(
    tmp_path: Path, wrong_ms: int
) -> None:
    """By its first sample, and in `titik status`, which reads the store."""
    with opened(tmp_path / "db") as db:
        presence, places = Presence(db), Places()
        store, live = (
            BatchWriter(db, Registered(), presence=presence),
            LiveState(db, presence, places),
        )
        items: list[Item] = [reported("online", 0), arrived(sample(2), T0 + 60_000)]
        items.append(reported("online", 90, NEXT_RUN, 1, NEXT_BOOT))
        one = sample(1, run=NEXT_RUN, boot=NEXT_BOOT, clients=7)
        one = replace(one, uptime_ms=40_000, taken_at=T0 + 100_000 + wrong_ms)
        items.append(arrived(one, T0 + 100_100))
        for item in items:
            for router_id, fresh in store.save([item]).fresh:
                live.show(router_id, fresh.sample, fresh.arrived_ms)
        assert 7 == live.messages({1}, T0 + 100_200)[0].clients
        live.show(1, sample(2), T0 + 100_300)  # late, by way of a queue
        later = LiveState(db, presence, places)
        later.load()
        assert [7, 7] == [which.messages({1}, T0)[0].clients for which in (live, later)]


def test_a_restart_and_its_first_sample_in_one_batch_are_of_now(tmp_path: Path) -> None:
    """A collector that is behind takes both at once; the router is shown by its new run."""
    with opened(tmp_path / "db") as db:
        presence = Presence(db)
        store = BatchWriter(db, Registered(), presence=presence)
        store.save([reported("online", 0), arrived(sample(2), T0)])
        one = replace(sample(1, run=NEXT_RUN, boot=NEXT_BOOT, clients=7), uptime_ms=40_000)
        one = replace(one, taken_at=T0 + 100_000)
        store.save([reported("online", 90, NEXT_RUN, 1, NEXT_BOOT), arrived(one, T0 + 100_100)])
        live = LiveState(db, presence, Places())
        live.load()
        shown = live.messages({1}, T0 + 100_200)[0]
        outages = db.execute("SELECT cause FROM outage").fetchall()
    assert (NEXT_RUN, 7, 200) == (presence.state(1).run, shown.clients, shown.age_ms)
    assert [("power cut",)] == outages


def test_a_sample_that_came_as_it_was_taken_is_of_now(tmp_path: Path) -> None:
    """Its clock may be hours behind; the router is not."""
    with opened(tmp_path / "db") as db:
        presence = Presence(db)
        presence.record([(1, reported("online", 0))])
        live = LiveState(db, presence, Places())
        live.show(1, sample(2, taken_at=T0 - 18_000_000), T0 + 60_000, True)
        assert 1000 == live.messages({1}, T0 + 61_000)[0].age_ms


def arrived(one: Sample, at_ms: int) -> Item:
    return to_item(received(one, True), at_ms)


@pytest.mark.sqlite("steps of SQLite's machine")
@pytest.mark.thorough
def test_a_start_costs_the_same_for_a_router_that_is_away_for_long(tmp_path: Path) -> None:
    """Steps of SQLite's machine, where the messages of 50 samples are gone and of 2000."""
    with opened(tmp_path / "db") as db:
        presence = Presence(db)
        store = BatchWriter(db, Registered(), presence=presence)
        store.save([reported("online", 0)])
        costs = []
        for count in (50, 2000):
            store.save([to_item(received(sample(n)), T0 + n) for n in range(1, count + 1)])
            db.execute("DELETE FROM body")
            live = LiveState(db, presence, Places())
            ticks: list[int] = []
            db.raw.set_progress_handler(lambda ticks=ticks: ticks.append(1), 10)  # type: ignore[misc]
            live.load()
            db.raw.set_progress_handler(None, 0)
            costs.append(len(ticks))
        assert costs[1] < 1.5 * costs[0]


def test_who_cannot_be_heard_is_unknown_though_the_store_cannot_be_read(tmp_path: Path) -> None:
    """A store that fails is why nobody is heard, so it is not asked."""
    with opened(tmp_path / "db", NAMES) as db:
        presence = Presence(db)
        live = LiveState(db, presence, Places())
        live.everything(T0)
    live.hears = False
    presence.forget()
    assert {"unknown"} == {now.state for now in live.everything(T0)}
