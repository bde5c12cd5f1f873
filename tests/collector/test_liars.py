"""What one router says that no message could: reported as far as it can be, it silences nobody."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cases import few
from tests.collector.build import BOOT, received, sample
from tests.collector.test_collect import ROUTER, SITE, collecting
from tests.collector.test_registry import HEAD
from tests.collector.test_rollup_topics import MINUTE_MS, finish
from titik_collector.broker_link.connection import Link
from titik_collector.ingest.items import to_item
from titik_collector.store.sqlite import SqliteDatabase
from titik_wire import codec, topics
from titik_wire.city_messages import Rollup
from titik_wire.limits import MAX_WHOLE
from titik_wire.messages import Bss, Sample

HOUR_MS = 3_600_000
AN_HOUR = 120  # samples of 60 boots, which are not too many for an hour
BRIDGED_MS = 50 * HOUR_MS  # at 10 Gbit/s, which is the most that is believed


def fewer_at_most_than_now(now_ms: int) -> Iterator[Sample]:
    """Its highest count is below its count."""
    yield sample(
        1, router="park-1", taken_at=now_ms - 300_000, covers_ms=30_000, clients=1,
        clients_min=None, clients_max=0,
    )  # fmt: skip


def much_in_no_time(now_ms: int) -> Iterator[Sample]:
    """A thousand times all that a wire carries in a second, at one instant."""
    at_ms = (now_ms - 200_000) // MINUTE_MS * MINUTE_MS + 10_000
    for seq in range(1, 1001):
        late_ms = seq // 1000
        yield sample(
            seq, router="park-1", uptime_ms=1_000_000 + late_ms, taken_at=at_ms + late_ms,
            covers_ms=0, client_ms=None, observed_ms=None, net=None,
            bss=(Bss("phy0-ap0", clients=3, since=f"{BOOT}/12", rx_bytes=1,
                     tx_bytes=seq * 1_250_000_000),),
        )  # fmt: skip


def many_lives_at_once(now_ms: int) -> Iterator[Sample]:
    """Each boot moved all that can be believed in the same two days."""
    for boot in range(120):
        for seq, uptime_ms in ((1, 1000), (2, 1000 + BRIDGED_MS)):
            yield sample(
                seq, router="park-1", run=f"{boot + 1:016x}",
                boot=f"6b0f0000-0000-4000-8000-{boot:012x}", uptime_ms=uptime_ms,
                taken_at=now_ms - HOUR_MS - BRIDGED_MS * (2 - seq), covers_ms=0, client_ms=None,
                observed_ms=None, net=None,
                bss=(Bss("phy0-ap0", clients=3, since="x", rx_bytes=1,
                         tx_bytes=1 + 1_250_000 * BRIDGED_MS * (seq - 1)),),
            )  # fmt: skip


@pytest.mark.parametrize(
    "lie", few(1, [fewer_at_most_than_now, much_in_no_time, many_lives_at_once])
)
def test_all_that_follows_from_a_lie_is_reported(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    lie: Callable[[int], Iterator[Sample]],
) -> None:
    """A collector that ended with it would end again after each start."""
    monkeypatch.setattr(Link, "connected", True)
    now_ms = time.time_ns() // 1_000_000
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + ROUTER)
    with collecting(file) as (collector, db):
        db.execute("UPDATE membership SET from_ms = 0")
        messages = [received(one) for one in lie(now_ms)]
        for hour in range(-(-len(messages) // AN_HOUR)):
            some = messages[hour * AN_HOUR : (hour + 1) * AN_HOUR]
            collector.save([to_item(one, now_ms + hour * HOUR_MS) for one in some])
        collector.roll()
        collector.connected()
        collector.publish_windows()
        for _ in range(5):
            collector.idle()
        topics_seen = {
            topic: codec.decode(topic, payload) for topic, payload in collector.published
        }
        over = ended(db, now_ms - 60_000)

    assert over <= topics_seen.keys()
    assert {topics.rollup("1m", scope, name) for scope, name in PLACES} <= over
    assert "breaks the contract" not in caplog.text
    assert all(
        (one.wifi_down_bytes or 0) <= MAX_WHOLE
        for one in topics_seen.values()
        if isinstance(one, Rollup)
    )


PLACES = (("router", "park-1"), ("site", "park"), ("city", "kupang"))


def ended(db: SqliteDatabase, before_ms: int) -> set[str]:
    """The topics that have something to be published."""
    names = dict(PLACES)
    rows = db.execute("SELECT DISTINCT length, scope FROM rollup WHERE end_ms <= ?", (before_ms,))
    return {topics.rollup(window, scope, names[scope]) for window, scope in rows}


def test_a_rollup_that_cannot_be_reported_is_passed_over_and_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An earlier version may have stored it."""
    monkeypatch.setattr(Link, "connected", True)
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + ROUTER)
    over_ms = time.time_ns() // 60_000_000_000 * MINUTE_MS - 2 * MINUTE_MS
    bad, good = topics.rollup("1m", "city", "kupang"), topics.rollup("1m", "router", "park-1")
    with collecting(file) as (collector, db):
        finish(db, "1m", over_ms, MINUTE_MS)
        finish(db, "1m", over_ms, MINUTE_MS, "router", 1)
        db.execute("UPDATE rollup SET clients_min = 2, clients_max = 1 WHERE scope = 'city'")
        for _ in range(2):
            collector.connected()
            for _ in range(3):
                collector.idle()
        topics_seen = [topic for topic, _ in collector.published]

    assert (0, 3) == (topics_seen.count(bad), topics_seen.count(good))
    assert 1 == caplog.text.count(
        f"not published, it breaks the contract topic={bad}"
        " reason=clients_min: is above clients_max"
    )
