"""Samples land in the minute in which they were taken, whatever the router's clock showed."""

from pathlib import Path

import pytest

from tests.system.city import City, Remembering, ShiftedClock, bytes_taken
from titik_wire.messages import Sample

pytestmark = pytest.mark.system

MINUTE_MS = 60_000
YEAR_MS = 365 * 86_400_000


def test_a_boot_that_began_before_ntp_lands_in_the_right_minutes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two boots without an uplink, the second without a clock; once it is back, all moves."""
    spool = Remembering()
    with City(tmp_path) as city:
        city.collect()
        before = ShiftedClock(1, behind_ms=30 * MINUTE_MS)
        first = city.node(spool=spool, clock=before)
        first.cut(1e6)
        city.until_taken(first, 8)
        city.power_cut(first)  # a spool on flash keeps what was not acked

        after = ShiftedClock(2, behind_ms=20 * MINUTE_MS)
        after.is_set, after.wrong_by_ms = False, -YEAR_MS
        second = city.node(spool=spool, clock=after)
        second.cut(1e6)
        city.until_taken(second, 5)
        after.behind_ms -= 10 * MINUTE_MS  # ten minutes pass
        city.until_taken(second, 5)
        after.behind_ms = 0  # and ten more
        second.cut_until = 0.0
        city.until_acked()
        ends = {one.run: one.seq for one in spool.taken}
        assert {"ntp": ends[first.run], "arrival": ends[second.run]} == qualities(city)
        second.is_sampling = True
        after.is_set, after.wrong_by_ms = True, 0
        city.until_taken(second, 3)
        city.until_acked()
        books = city.close_books()
        ends = {one.run: one.seq for one in spool.taken}
        assert {run: (seq, seq, 0, 0, 0) for run, seq in ends.items()} == books
        assert {"ntp": len(spool.taken)} == qualities(city)
        at_ms = {(run, seq): at for run, seq, at in city.ask(PLACES)}
        for one in spool.taken:
            true_ms = one.taken_at + (YEAR_MS if one.clock == "guess" else 0)
            assert abs(int(str(at_ms[one.run, one.seq])) - true_ms) < 50
        of_boot = [one for one in spool.taken if one.boot == after.boot]
        early = [one for one in of_boot if one.clock == "guess"][:5]
        minute_ms = (early[0].taken_at + YEAR_MS) // MINUTE_MS * MINUTE_MS
        assert bytes_of_minutes(city, minute_ms, minute_ms + 2 * MINUTE_MS) >= down(early)
        boots = [
            [one for one in spool.taken if one.boot == boot] for boot in (before.boot, after.boot)
        ]
        assert sum(down(one) for one in boots) == bytes_of_minutes(city, 0, 1 << 60)
    assert "broker unreachable" in caplog.text


PLACES = "SELECT run.token, seq, at_ms FROM sample JOIN run ON run.id = run_id"


def qualities(city: City) -> dict[str, int]:
    """How many samples are placed how."""
    rows = city.ask("SELECT quality, count(*) FROM sample GROUP BY quality")
    return {str(quality): int(str(number)) for quality, number in rows}


def bytes_of_minutes(city: City, from_ms: int, to_ms: int) -> int:
    """Wi-Fi down of the only router."""
    return city.number(
        "SELECT sum(wifi_down_bytes) FROM rollup WHERE scope = 'router' AND length = '1m'"
        " AND start_ms >= ? AND start_ms < ?",
        from_ms,
        to_ms,
    )


def down(samples: list[Sample]) -> int:
    """Wi-Fi down from the first to the last."""
    return bytes_taken(samples)[0]
