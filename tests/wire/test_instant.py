"""RFC 3339 text, with `datetime` as the oracle."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titik_wire import instant
from titik_wire.limits import MAX_MS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANTS = st.integers(0, MAX_MS)


def as_datetime_writes(ms: int) -> str:
    """What the standard library makes of it."""
    moment = EPOCH + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@given(INSTANTS)
def test_text_is_what_datetime_writes(ms: int) -> None:
    """Our arithmetic agrees with the standard library's."""
    assert as_datetime_writes(ms) == instant.to_text(ms)


@given(INSTANTS)
def test_text_reads_back(ms: int) -> None:
    """from_text is the inverse of to_text."""
    assert ms == instant.from_text(as_datetime_writes(ms))


def test_the_year_2038_does_not_end_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C library's time is 32 bits wide, nobody else can say what day it is."""

    def overflow(_: float) -> None:
        raise OverflowError("timestamp out of range for platform time_t")

    monkeypatch.setattr(time, "gmtime", overflow)
    assert "2038-01-19T03:14:08.000Z" == instant.to_text(2**31 * 1000)


@given(st.integers(0, MAX_MS // 86_400_000))
def test_every_day_reads_back(day: int) -> None:
    """Leap days and century years are where calendars go wrong."""
    assert as_datetime_writes(day * 86_400_000) == instant.to_text(day * 86_400_000)
    assert day * 86_400_000 == instant.from_text(as_datetime_writes(day * 86_400_000))


@pytest.mark.parametrize("year", [1970, 1999, 2000, 2001, 2004, 2100, 2400, 9999])
def test_every_month_s_ends_read_back(year: int) -> None:
    """Years that are leap years, that are not, and that look like some."""
    for month in range(1, 13):
        first = datetime(year, month, 1, tzinfo=UTC)
        for day in (first, first - timedelta(days=1)):
            if day >= EPOCH:
                ms = (day - EPOCH) // timedelta(milliseconds=1)
                assert as_datetime_writes(ms) == instant.to_text(ms)
                assert ms == instant.from_text(as_datetime_writes(ms))


@given(
    st.tuples(
        st.integers(0, 9999), st.integers(0, 99), st.integers(0, 99),
        st.integers(0, 99), st.integers(0, 99), st.integers(0, 99),
    )
)  # fmt: skip
def test_only_times_that_exist_are_read(parts: tuple[int, ...]) -> None:
    """February 30th, hour 24 and second 60 are refused, as datetime refuses them."""
    text = "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.000Z".format(*parts)
    try:
        expected = datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]
        exists = expected >= EPOCH
    except ValueError:
        exists = False
    if exists:
        assert as_datetime_writes(instant.from_text(text)) == text
    else:
        with pytest.raises(ValueError, match=r"no such|1970"):
            instant.from_text(text)


@given(st.text(max_size=30))
def test_other_text_is_refused(text: str) -> None:
    """Nothing but what to_text writes is a time."""
    with pytest.raises(ValueError, match="not an instant"):
        instant.from_text(text)


@pytest.mark.parametrize("ms", [-1, MAX_MS + 1])
def test_years_outside_1970_to_9999_cannot_be_written(ms: int) -> None:
    """RFC 3339 has four digits for a year."""
    with pytest.raises(ValueError, match="1970 to 9999"):
        instant.to_text(ms)


def test_the_ends_read_back() -> None:
    """The first and the last instant."""
    assert instant.from_text("1970-01-01T00:00:00.000Z") == 0
    assert instant.from_text("9999-12-31T23:59:59.999Z") == MAX_MS
