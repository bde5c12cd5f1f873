"""Which places were used most."""

from pathlib import Path

import pytest

from tests.collector import past_rows
from tests.collector.build import opened
from tests.collector.past_rows import BERLIN, ms
from titik_collector.figures.windows import Calendar, Span
from titik_collector.queries import columnar, overall, place_use
from titik_collector.queries.history import Subject
from titik_wire.instant import DAY_MS, HOUR_MS

START = ms("2026-03-02T00:00")
FIRST = Subject("site", 1, "s1", "Site 1")
SECOND = Subject("site", 2, "s2", "Site 2")
SPAN = Span(START, START + 4 * HOUR_MS)


def test_the_most_used_place_is_first_with_how_much_is_known(tmp_path: Path) -> None:
    """By its mean of what is known; a router alone is no place, and another length counts not."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, START - DAY_MS)
        put = past_rows.put
        for hour, mean in ((0, 4.0), (1, 8.0)):
            put(db, FIRST, "1h", START + hour * HOUR_MS, routers=2, covered_ms=HOUR_MS,
                clients_mean=mean)  # fmt: skip
        put(db, SECOND, "1h", START, routers=1, covered_ms=HOUR_MS, clients_mean=9.0)
        put(db, SECOND, "1h", START + HOUR_MS, routers=1, covered_ms=HOUR_MS)
        put(db, SECOND, "1h", SPAN.end_ms, routers=1, covered_ms=HOUR_MS, clients_mean=99.0)
        put(db, FIRST, "1d", START, routers=2, covered_ms=HOUR_MS, clients_mean=99.0)
        found = place_use.ranked(db, SPAN, Calendar(BERLIN), SPAN.end_ms + DAY_MS)
        slow = [
            overall.of(one, ["clients_mean"], None, [])
            for one in columnar.compare(
                db, (SECOND, FIRST), "1h", SPAN, Calendar(BERLIN), SPAN.end_ms + DAY_MS
            )
        ]
    assert found is not None
    assert [("s2", 9.0, 0.5), ("s1", 6.0, 0.25)] == [
        (one.site.name, one.mean, one.coverage) for one in found
    ]
    assert [(one.means[0], one.coverage) for one in slow] == [
        (one.mean, one.coverage) for one in found
    ]


def test_what_is_not_over_or_was_not_there_yet_does_not_count(tmp_path: Path) -> None:
    """Neither in the mean nor in the coverage."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, START + 2 * HOUR_MS)
        for hour, mean in ((2, 4.0), (3, 8.0)):
            past_rows.put(
                db, FIRST, "1h", START + hour * HOUR_MS, routers=1, covered_ms=HOUR_MS,
                clients_mean=mean,
            )  # fmt: skip
        now_ms = START + 3 * HOUR_MS + HOUR_MS // 2
        found = place_use.ranked(db, SPAN, Calendar(BERLIN), now_ms)
    assert found is not None
    assert [("s1", 4.0, 1.0), ("s2", None, 0.0)] == [
        (one.site.name, one.mean, one.coverage) for one in found
    ]


def test_too_many_windows_are_not_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question has an end, however large the city is."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, START)
        monkeypatch.setattr(place_use, "MAX_RANKED", 7)
        now_ms = SPAN.end_ms + DAY_MS
        assert place_use.ranked(db, SPAN, Calendar(BERLIN), now_ms) is None
