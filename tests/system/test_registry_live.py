"""The city changes while it runs: the collector takes it in without a restart."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.collector.build import sample
from tests.system.city import City, Remembering, bytes_of, bytes_taken, wall_ms
from titik_wire import codec, topics

pytestmark = pytest.mark.system

MINUTE_MS = 60_000
SITES = ("taman-tirosa", "pantai-ketapang")


def test_an_unknown_router_is_shown_and_stored_once_it_is_added(tmp_path: Path) -> None:
    """`titik status` gives the command, and its spool from before is stored."""
    with City(tmp_path, unregistered=["oesapa-1"]) as city:
        city.collect()
        node = city.node("oesapa-1")
        city.until(
            lambda: city.number("SELECT count(*) FROM knock") == 1, "the unknown router is noted"
        )
        city.until_taken(node, 5)
        _, screen = city.titik("status", "--config", str(city.file))
        command = next(line for line in screen.splitlines() if "titik router add" in line)
        assert "titik router add oesapa-1 --site taman-tirosa" in command
        assert city.books() == {}
        words = command.partition("#")[0].split()[1:]
        assert city.titik(*words, "--config", str(city.file))[0] == 0
        city.until(lambda: bool(city.books()), "it is stored")
        city.until_acked()
        assert {node.run: (node.sampler.seq, node.sampler.seq, 0, 0, 0)} == city.close_books()
        assert "titik router add" not in city.titik("status", "--config", str(city.file))[1]


def test_a_router_removed_and_added_again_is_the_same_router(tmp_path: Path) -> None:
    """Meanwhile it is unknown and keeps its samples; its retained topics are cleared."""
    with City(tmp_path, "tirosa-1", "tirosa-2") as city:
        city.collect()
        node = city.node("tirosa-2")
        city.until_taken(node, 5)
        city.until(lambda: stored(city) > 0, "some are stored")
        both = city.places()
        with city.engineer(topics.now("router", "tirosa-2")) as engineer:
            city.write(both[:1])
            city.until_heard(engineer, lambda _, payload: not payload, "its topic is cleared")
        before = stored(city)
        city.until_taken(node, 10)
        assert before == stored(city)
        city.write(both)
        city.until(lambda: stored(city) > before, "it is stored again")
        city.until_acked()
        assert {node.run: (node.sampler.seq, node.sampler.seq, 0, 0, 0)} == city.close_books()
        assert [(1,)] == city.ask("SELECT count(*) FROM router WHERE name = 'tirosa-2'")
        assert isinstance(node.spool, Remembering)
        with city.reader() as db:
            assert bytes_taken(node.spool.taken) == bytes_of(db, "tirosa-2")


@pytest.mark.parametrize("edited_meanwhile", [False, True], ids=["at once", "after another edit"])
def test_a_router_that_came_back_while_removed_is_online_once_added(
    tmp_path: Path, edited_meanwhile: bool
) -> None:
    """What it sent while unknown is heard again; that it left as it was removed is no outage."""
    with City(tmp_path, "tirosa-1", "tirosa-2") as city:
        city.collect()
        node = city.node("tirosa-2")
        city.until(lambda: presence(city) == ["online"], "it is online")
        city.until_acked()
        node.is_sampling = False
        node.connector.stop_soon()
        city.until(lambda: presence(city) == ["offline"], "its goodbye is heard")
        both = city.places()
        city.write(both[:1])
        city.until(lambda: registered(city) == 1, "it is removed")
        again = city.node("tirosa-2", seed=2)
        city.until(lambda: city.number("SELECT count(*) FROM knock") == 1, "it knocks")
        if edited_meanwhile:
            city.write(both[:1], SITES)
            city.until(lambda: city.number("SELECT count(*) FROM site") == 2, "a site is added")
            city.until_taken(again, 3)
        city.write(both)
        city.until(lambda: registered(city) == 2, "it is added")
        city.until(lambda: presence(city) == ["online"], "it is online again")
        assert [] == city.ask("SELECT * FROM outage")
        assert city.collector is not None
        assert 1 == city.collector.output().count("broker connected")


def presence(city: City) -> list[object]:
    """Of the second router, if it was heard of."""
    rows = city.ask(
        "SELECT state FROM presence JOIN router ON router.id = router_id WHERE name = 'tirosa-2'"
    )
    return [state for (state,) in rows]


def registered(city: City) -> int:
    """How many routers are."""
    return city.number("SELECT count(*) FROM router WHERE registered = 1")


def stored(city: City) -> int:
    """Samples in the store."""
    return city.number("SELECT count(*) FROM sample")


def test_a_site_keeps_what_was_its_own_when_a_router_moves(tmp_path: Path) -> None:
    """The minutes before the move are the old site's, those after it the new one's."""
    start_ms = wall_ms() // MINUTE_MS * MINUTE_MS - 30 * MINUTE_MS
    moved_ms = start_ms + 10 * MINUTE_MS
    with City(tmp_path, sites=SITES) as city, city.impostor("tirosa-1") as router:
        city.collect()
        for seq in range(1, 42):
            one = replace(sample(seq), taken_at=start_ms + (seq - 1) * 30_000)
            router.send(topics.backlog("tirosa-1"), codec.encode(one))
        city.until(lambda: stored(city) == 41, "all is stored")
        city.until(lambda: site_bytes(city, SITES[0]) == 40_000_000, "it is rolled up")
        city.write([("tirosa-1", SITES[1], rfc3339(moved_ms))], SITES)
        city.until(lambda: site_bytes(city, SITES[1]) > 0, "the new site has some")
        city.close_books()
        assert (20_000_000, 20_000_000) == (site_bytes(city, SITES[0]), site_bytes(city, SITES[1]))
        for site, low, high in ((SITES[0], 0, moved_ms), (SITES[1], moved_ms, 1 << 60)):
            inside = site_bytes(city, site, low, high)
            assert 20_000_000 == inside
        assert [(40_000_000,)] == city.ask(
            "SELECT sum(wifi_down_bytes) FROM rollup WHERE scope = 'city' AND length = '1d'"
        )


def site_bytes(city: City, site: str, low: int = 0, high: int = 1 << 60) -> int:
    """Wi-Fi down of a site's minutes."""
    return city.number(
        "SELECT coalesce(sum(wifi_down_bytes), 0) FROM rollup JOIN site ON site.id = scope_id"
        " WHERE scope = 'site' AND length = '1m' AND name = ? AND start_ms >= ? AND start_ms < ?",
        site,
        low,
        high,
    )


def rfc3339(at_ms: int) -> str:
    """As TOML has it."""
    text: str = json.loads(codec.encode(replace(sample(1), taken_at=at_ms)))["taken_at"]
    return text


def test_a_second_collector_on_the_same_store_does_not_start(tmp_path: Path) -> None:
    """It says who holds the store; the first goes on."""
    with City(tmp_path) as city:
        first = city.collect()
        status, output = city.titik("collect", "--config", str(city.file))
        assert status == 1
        assert f"another collector (process {first.popen.pid}) holds this store" in output
        node = city.node()
        city.until_taken(node, 3)
        city.until_acked()
        assert {node.run: (node.sampler.seq, node.sampler.seq, 0, 0, 0)} == city.close_books()
