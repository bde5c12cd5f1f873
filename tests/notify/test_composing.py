"""The words of a message, in both languages."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from tests.notify.messages import DOWN, NOON_MS, SITE, notification
from titik_collector.alerts.alert import AlertSubject, Member, Message
from titik_collector.languages.language import language
from titik_collector.limits import MAX_LINES
from titik_collector.notify import words
from titik_collector.notify.choosing import Choice, Form, Waiting, key_of
from titik_collector.notify.composed import Composed
from titik_collector.notify.composing import Writing, compose

ZONE = ZoneInfo("Asia/Makassar")
HOUR_MS = 3_600_000


def written(
    message: Message, code: str = "id", now_ms: int = NOON_MS, form: Form = "single", more: int = 0
) -> Composed:
    """What a receiver reads of it."""
    one = replace(notification(), message=message)
    waiting = Waiting(key_of("store", one), one, 0, one.due_ms)
    url = "https://titik.example"
    writing = Writing(language=language(code), zone=ZONE, city="kupang", url=url)
    return compose(Choice(form, (waiting,) * (more or 1)), writing, now_ms)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "id",
            "🔴 Taman Tirosa mati sejak 11.53 WITA (12 menit)\nPenyebab: listrik padam.\n"
            "17 perangkat tersambung sebelumnya.\n\nhttps://titik.example/alerts/3\n",
        ),
        (
            "en",
            "🔴 Taman Tirosa is offline since 11:53 WITA (12 minutes)\nCause: power cut.\n"
            "17 devices were connected before.\n\nhttps://titik.example/alerts/3\n",
        ),
    ],
)
def test_what_where_and_since_when_come_first(code: str, expected: str) -> None:
    """Then the cause, how many it concerns, and where to look."""
    one = written(replace(DOWN, cause="power cut"), code)
    assert (expected, expected.partition("\n")[0]) == (one.text, one.subject)


def test_what_is_over_says_for_how_long_it_was() -> None:
    """And who looks at it later sees both ends."""
    over = replace(DOWN, what="resolved", to_ms=NOON_MS, cause="power cut")
    one = written(over)
    assert "🟢 Taman Tirosa hidup lagi sejak 12.05 WITA, mati 12 menit" == one.subject
    assert ("2026-11-29T11:53:00+08:00", "2026-11-29T12:05:00+08:00") == (one.since, one.until)
    assert None is one.ack_url


def test_a_late_message_says_so() -> None:
    """What it says was so when it was due."""
    one = written(DOWN, now_ms=NOON_MS + 2 * HOUR_MS + 600_000)
    assert one.subject.endswith("(tertunda 2 j 10 m)")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"what": "repeat"}, "🔴 Masih: Taman Tirosa mati"),
        ({"what": "escalation"}, "🔴 Belum ada yang menangani: Taman Tirosa mati"),
        ({"reopened": True}, "🔴 Lagi: Taman Tirosa mati"),
        ({"severity": "warning"}, "🟠 Taman Tirosa mati"),
        ({"severity": "info", "kind": "crowded"}, "🔵 Taman Tirosa penuh pengunjung"),
    ],
)
def test_why_it_comes_is_in_the_first_words(change: dict[str, object], expected: str) -> None:
    """Before the place, because a phone cuts the end off."""
    assert written(replace(DOWN, **change)).subject.startswith(expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("server-unstable", "Sambungan server sendiri juga putus-sambung."),
        (
            "line-untested",
            "Mungkin jalur internet server yang putus."
            " Titik mengujinya jika line diisi di [alerts].",
        ),
        ("of a later version", "of a later version"),
    ],
)
def test_what_else_may_be_the_reason_stands_last(note: str, expected: str) -> None:
    """In the receiver's language."""
    assert (expected,) == written(replace(DOWN, notes=(note,))).last


def test_the_server_that_comes_and_goes_is_no_city_that_does() -> None:
    """It has words of its own."""
    server = AlertSubject("server", "kupang-1")
    one = replace(DOWN, what="flapping", kind="flapping", subject=server, title="Kupang")
    expected = "🔴 Server Titik Kupang putus-sambung terus sejak 11.53 WITA"
    assert expected == written(one).subject


def test_many_places_are_at_most_so_many_lines() -> None:
    """The rest are a number."""
    members = tuple(
        Member(AlertSubject("site", f"s{n}"), f"Taman {n}", NOON_MS - 600_000) for n in range(33)
    )
    group = AlertSubject("group", "provider:Telkom")
    one = written(
        replace(
            DOWN,
            kind="group-outage",
            subject=group,
            title="Telkom",
            members=members,
            places=40,
            of_places=80,
        )
    )
    assert one.subject.startswith("🔴 Telkom: 40 dari 80 tempat mati sejak")
    assert (MAX_LINES, ("dan 20 lagi",)) == (len(one.rows), one.last)
    assert ("Taman 0", "10 m") == one.rows[0]


def test_a_digest_comes_also_if_all_is_well() -> None:
    """That none comes shows that none can."""
    city = AlertSubject("city", "kupang")
    well = replace(
        DOWN,
        what="digest",
        severity="info",
        subject=city,
        title="Kota Kupang",
        members=(),
        value=10.0,
        places=0,
        of_places=10,
    )
    assert "✅ Kota Kupang: Semua baik: 10 dari 10 tempat hidup" == written(well).subject
    hot = Member(SITE, "Taman Tirosa", NOON_MS - HOUR_MS, kind="hot")
    over = replace(well, places=1, members=(hot._replace(to_ms=NOON_MS),))
    assert "Sejak ringkasan terakhir ada 1 gangguan." in written(over).lines
    assert written(well).subject == written(over).subject
    ill = written(replace(well, places=2, members=(hot, *over.members)), "en")
    assert "🟠 Kota Kupang: 10 of 10 places are online" == ill.subject
    assert "1 of them goes on." in ill.lines
    assert (("Taman Tirosa", "too hot, 1 h"), ("Taman Tirosa", "too hot, 1 h, over")) == ill.rows


def test_what_is_above_the_hour_is_one_message() -> None:
    """With the first lines of what it stands for."""
    one = written(DOWN, form="more", more=25)
    assert "🟠 25 pesan lagi dalam jam ini" == one.subject
    assert (MAX_LINES, ("dan 5 lagi",), None) == (len(one.rows), one.last, one.incident)


@pytest.mark.parametrize("kind", list(words.WORDS))
@pytest.mark.parametrize("code", ["id", "en"])
def test_every_kind_has_its_words(kind: str, code: str) -> None:
    """In both languages, with every hole filled, short enough for a subject."""
    longest = "Lapangan Olahraga Kecamatan Kelapa Lima"
    for what in ("firing", "resolved", "update", "repeat", "flapping"):
        message = replace(DOWN, kind=kind, what=what, title=longest)  # type: ignore[arg-type]
        one = written(message, code)
        assert "{" not in one.text
        assert longest in one.subject
        assert "…" not in one.subject
