"""How much one router may add in an hour, and what is taken back when a batch fails."""

from titik_collector.ingest.caps import Caps
from titik_wire.instant import HOUR_MS

ROUTER, OTHER = 1, 2


def test_a_cap_is_of_one_router_one_kind_and_one_hour() -> None:
    """Each has its own, and what is refused is not counted."""
    caps = Caps(samples=2, runs=1)

    assert [True, True, False] == [caps.allow("sample", ROUTER, 5) for _ in range(3)]
    assert [True, False] == [caps.allow("run", ROUTER, 5) for _ in range(2)]
    assert [True, False] == [caps.allow("boot", ROUTER, 5) for _ in range(2)]
    assert caps.allow("sample", OTHER, 5)
    assert [True, True, False] == [caps.allow("sample", ROUTER, HOUR_MS) for _ in range(3)]


def test_a_clock_set_back_opens_no_new_hour() -> None:
    """Or a clock that goes to and fro would lift every cap."""
    caps = Caps(samples=1)

    assert caps.allow("sample", ROUTER, 3 * HOUR_MS)
    assert not caps.allow("sample", ROUTER, HOUR_MS)


def test_a_clock_that_was_far_ahead_caps_nobody_for_long() -> None:
    """Until the next hour, not until the year that it reported."""
    caps = Caps(samples=2)

    assert caps.allow("sample", ROUTER, 9000 * HOUR_MS)
    assert [True, False] == [caps.allow("sample", ROUTER, 5) for _ in range(2)]
    assert [True, True, False] == [caps.allow("sample", ROUTER, HOUR_MS + 5) for _ in range(3)]


def test_what_a_failed_batch_counted_is_taken_back() -> None:
    """Back to where it began, also when an hour ended in it; nothing before it."""
    caps = Caps(samples=2)
    caps.allow("sample", ROUTER, 5)
    caps.begin()
    caps.allow("sample", ROUTER, 5)
    caps.undo()

    assert [True, False] == [caps.allow("sample", ROUTER, 5) for _ in range(2)]
    caps.begin()
    caps.allow("sample", ROUTER, HOUR_MS)
    caps.undo()
    assert not caps.allow("sample", ROUTER, 5)
