"""Whatever order, repetition or merging messages arrive in, the store says the same."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.broker.running import Client
from tests.collector.build import IS_KNOWN, OLD_RUN, sample
from tests.system.city import City, wall_ms
from titik_agent.spool.merge import merge
from titik_wire import codec, topics
from titik_wire.messages import Sample

pytestmark = pytest.mark.system

SEQS = 24
EARLIER = "5a0f0000-0000-4000-8000-000000000000"
ROLLED = (
    "SELECT scope, CASE scope WHEN 'router' THEN 0 ELSE scope_id END, length, start_ms, end_ms,"
    " routers, covered_ms, up_ms, observed_ms, client_ms, clients_mean, clients_min, clients_max,"
    " active_ms, weak_ms, wifi_down_bytes, wifi_up_bytes, wifi_known_ms, uplink_down_bytes,"
    " uplink_up_bytes, uplink_known_ms, wifi_down_peak_bps, uplink_down_peak_bps"
    f" FROM rollup WHERE scope = ? AND scope_id = ? AND {IS_KNOWN} ORDER BY length, start_ms"
)
STORED = (
    "SELECT run.token, first_seq, seq, uptime_ms, at_ms, quality, covers_ms, clients, client_ms,"
    " observed_ms, counters, packed FROM sample JOIN run ON run.id = run_id"
    " JOIN body USING (run_id, seq) ORDER BY run.token, seq"
)
START_MS = (wall_ms() - 3_600_000) // 60_000 * 60_000


def taken(router: str = "tirosa-1", run: str | None = None, **fields: object) -> list[Sample]:
    """Half an hour ago, every 30 s."""
    given = {} if run is None else {"run": run}
    return [
        replace(
            sample(seq, router=router, **given),  # type: ignore[arg-type]
            taken_at=START_MS + seq * 30_000,
            **fields,  # type: ignore[arg-type]
        )
        for seq in range(1, SEQS + 1)
    ]


def two_boots() -> list[Sample]:
    """A boot that learnt the time late, and the one after it."""
    older = taken(run=OLD_RUN, boot=EARLIER, clock="guess")
    older = [
        replace(one, taken_at=1_000_000 + one.seq, uptime_ms=one.seq * 30_000) for one in older
    ]
    at_ms = START_MS - 1_200_000
    older[-4] = replace(older[-4], clock="ntp", taken_at=at_ms)
    older[-2] = replace(older[-2], clock="ntp", taken_at=at_ms + 60_000)
    return [*older, *taken()]


def deliver(client: Client, samples: Iterable[Sample]) -> None:
    """On `backlog`, as the router would."""
    for one in samples:
        client.send(topics.backlog(one.router), codec.encode(one))


def test_shuffled_and_tripled_delivery_gives_the_same_store(tmp_path: Path) -> None:
    """Samples, places in time, rollups of router, site and city, and the books."""
    in_order = two_boots()
    shuffled = 3 * in_order
    random.Random(7).shuffle(shuffled)
    seen = []
    for number, letters in enumerate((in_order, shuffled)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with City(folder) as city, city.impostor("tirosa-1") as router:
            city.collect()
            deliver(router, letters[: len(letters) // 2])
            city.until(lambda c=city: bool(c.books()), "the first half arrives")  # type: ignore[misc]
            deliver(router, letters[len(letters) // 2 :])
            city.until(lambda c=city: is_all_in(c), "all is stored")  # type: ignore[misc]
            books = city.close_books()
            rolled = [city.ask(ROLLED, "router", 1), city.ask(ROLLED, "site", 1)]
            seen.append((books, city.ask(STORED), rolled, city.ask(ROLLED, "city", 0)))
    assert seen[0][0] == seen[1][0]
    assert seen[0][1] == seen[1][1]
    assert seen[0][2] == seen[1][2]
    assert seen[0][3] == seen[1][3]
    assert len(seen[0][2][1]) > 20


def is_all_in(city: City) -> bool:
    """Nothing is missing of the two runs."""
    return [(SEQS, SEQS, 0, 0, 0)] * 2 == list(city.books().values())


def merged(samples: Sequence[Sample]) -> Sample:
    """An aligned block as one range, as a full spool makes it."""
    if len(samples) == 1:
        return samples[0]
    half = len(samples) // 2
    return merge(merged(samples[:half]), merged(samples[half:]))


def test_a_merged_range_may_come_before_after_or_between_its_originals(tmp_path: Path) -> None:
    """The range replaces what it contains, late originals are duplicates, totals never change."""
    names = ("before", "after", "between", "never")
    with City(tmp_path, *names) as city:
        city.collect()
        for name in names:
            in_order = taken(name, run=f"{names.index(name):016x}")
            block = merged(in_order[8:16])
            order = {
                "before": [block, *in_order],
                "after": [*in_order, block],
                "between": [*in_order[:12], block, *in_order[12:]],
                "never": in_order,
            }[name]
            with city.impostor(name) as router:
                deliver(router, order)
                city.until(
                    lambda name=name: city.number("SELECT count(*) FROM v_conservation"  # type: ignore[misc]
                    " WHERE router = ? AND stored = ?", name, SEQS) == 1, "all is stored",
                )  # fmt: skip
        city.until(
            lambda: city.number("SELECT count(*) FROM sample WHERE seq > first_seq") == 3, ""
        )
        assert {(SEQS, SEQS, 0, 0, 0)} == set(city.close_books().values())
        spans = {
            name: city.ask(
                "SELECT first_seq, seq FROM v_sample WHERE router = ? ORDER BY seq", name
            )
            for name in names
        }
        rolled = {
            name: city.ask(ROLLED, "router", number) for number, name in enumerate(ids(city), 1)
        }
    assert [(9, 16)] == [one for one in spans["before"] if one[0] != one[1]]
    assert spans["before"] == spans["after"] == spans["between"]
    assert rolled["before"] == rolled["after"] == rolled["between"]
    totals = [(row[6], row[8], row[9], row[15], row[18]) for row in whole(rolled["never"])]
    assert totals == [(row[6], row[8], row[9], row[15], row[18]) for row in whole(rolled["after"])]
    assert totals[0][3] == (SEQS - 1) * 1_000_000


def ids(city: City) -> list[str]:
    """Names of routers by their ids."""
    return [str(name) for (name,) in city.ask("SELECT name FROM router ORDER BY id")]


def whole(rolled: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """The days."""
    return [row for row in rolled if row[2] == "1d"]
