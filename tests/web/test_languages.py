"""Languages: how numbers, rates and lengths are written."""

import pytest

from titik_collector.languages.language import accepted, language


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("id", ["1.234,5", "·", "168 Mb/s", "1,2 Gb/s", "0 b/s", "2 j 10 m", "12 dtk", "99%"]),
        ("en", ["1,234.5", "·", "168 Mb/s", "1.2 Gb/s", "0 b/s", "2 h 10 m", "12 s", "99%"]),
    ],
)
def test_figures_are_written_as_the_language_does(code: str, expected: list[str]) -> None:
    """What is not known is a point in the middle, zero is zero."""
    one = language(code)
    assert expected == [
        one.count(1234.5, 1),
        one.count(None),
        one.rate(168_000_000),
        one.rate(1_234_000_000),
        one.rate(0),
        one.length(7800),
        one.length(12),
        one.percent(0.9999),
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(7800, "2 jam 10 menit"), (3600, "1 jam"), (90_000, "1 hari 1 jam"), (12, "12 detik")],
)
def test_a_length_in_words_needs_no_key(seconds: int, expected: str) -> None:
    """Short units are for those who see them each day."""
    assert expected == language("id").length_in_words(seconds)
    assert "1 hour" == language("en").length_in_words(3600)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("en-GB,id;q=0.5", "en"),
        ("de, in;q=0.3, en;q=0.2", "id"),
        ("de", None),
        ("", None),
        (";q=x,en;q=", "en"),
    ],
)
def test_a_browser_gets_the_first_language_that_there_is(header: str, expected: str | None) -> None:
    """`in` is what old Androids call Indonesian."""
    assert expected == accepted(header)


def test_opening_hours_are_read_in_the_language() -> None:
    """Days, clock and the word for a day that is closed."""
    text = "Mo-Th 06:00-23:00; Fr,Sa 06:00-01:00; Su off"
    assert "Sen-Kam 06.00-23.00; Jum,Sab 06.00-01.00; Min tutup" == language("id").hours(text)
    assert "Mon-Thu 06:00-23:00; Fri,Sat 06:00-01:00; Sun closed" == language("en").hours(text)
