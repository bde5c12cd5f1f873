"""Sentences of the program in each language."""

import re
import sqlite3
from pathlib import Path

import pytest

from tests.collector.build import opened
from titik_collector.languages.language import language
from titik_collector.outputs.output import Event
from titik_collector.store import server_clock_row, sqlite
from titik_collector.store.database import StoreError, at_fault, no_store, other_schema
from titik_collector.store.server_clock_row import Known
from titik_collector.timeline import server_clock
from titik_collector.web import event_words
from titik_collector.web.sentences import is_ours, translated
from titik_collector.wording.sentence import Length, Sentence, Word

AWAY = Sentence(
    "{state} for {length} ({cause})",
    state=Word("offline"), length=Length(7_800_000), cause=Word("power cut"),
)  # fmt: skip


def _sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.DatabaseError("rusak")
    error.sqlite_errorcode = code
    return error


def test_a_sentence_is_a_text_in_english() -> None:
    """Whoever prints it need not know that it is more."""
    assert "offline for 2 h 10 min (power cut)" == AWAY
    assert "1,234 samples lost in 24 h" == Sentence("{number} samples lost in 24 h", number=1234)


def test_a_sentence_is_translated() -> None:
    """Its words, its lengths and its numbers."""
    assert "mati selama 2 j 10 m (listrik padam)" == translated(language("id"), AWAY)
    lost = Sentence("{number} samples lost in 24 h", number=1234)
    assert "1.234 sampel hilang dalam 24 jam" == translated(language("id"), lost)


def test_the_text_of_somebody_else_stays() -> None:
    """It is marked as English."""
    text = "disk I/O error {x}"
    assert text == translated(language("id"), text)
    assert [False, True, True] == [
        is_ours(language(code), one) for code, one in (("id", text), ("en", text), ("id", AWAY))
    ]


@pytest.mark.parametrize("error", [
    StoreError(at_fault("a.db", other_schema(1, 2))),
    StoreError(at_fault("a.db", no_store("titik collect"))),
    sqlite.worded(_sqlite_error(sqlite3.SQLITE_CORRUPT), Path("a.db")),
])  # fmt: skip
def test_what_is_wrong_with_a_store_is_translated(error: StoreError) -> None:
    """All of it but names and commands."""
    words = set(re.findall(r"[a-z]+", translated(language("id"), error.text)))
    assert not words & {"the", "this", "is", "and", "it", "collector", "up"}
    assert error.text == str(error)


def test_a_clock_that_is_wrong_is_named_in_the_language(tmp_path: Path) -> None:
    """By how much, and what sets it."""
    with opened(tmp_path / "db") as db, db.transaction():
        server_clock_row.keep(db, Known("boot", 0, True, 0, 0, ahead_ms=7_800_000, since_ms=1))
        text = server_clock.problem(db)
    expected = "jam server 2 j 10 m terlalu cepat; atur: timedatectl"
    assert expected == translated(language("id"), text or "")


def test_a_certificate_that_ends_is_named_in_the_language() -> None:
    """With its router, and the command as it is typed."""
    what = Sentence("certificate of router {router}", router="tirosa-1")
    remedy = "titik router rotate tirosa-1"
    text = Sentence("{what} expires in {days} days: {remedy}", what=what, days=59, remedy=remedy)
    expected = f"sertifikat router tirosa-1 berakhir dalam 59 hari: {remedy}"
    assert expected == translated(language("id"), text)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            Event(0, "outage", "a", "", goes_on=True, length_ms=60_000, cause="unknown", number=3),
            "mati 1 m, belum selesai, 3 router · penyebab tidak diketahui",
        ),
        (
            Event(0, "outage", "a", "", length_ms=60_000, cause="power cut"),
            "mati 1 m · listrik padam",
        ),
        (
            Event(0, "outage", "a", "", length_ms=60_000, cause="reboot", made_up=True),
            "mati 1 m · dinyalakan ulang (simulasi)",
        ),
        (Event(0, "lost", "a", "", number=1200), "1200 sampel hilang selamanya"),
        (Event(0, "registered", "a", "", place="x"), "di Taman"),
        (Event(0, "removed", "a", ""), ""),
        (Event(0, "revoked", "a", "", length_ms=None), "tidak punya akses"),
    ],
)
def test_an_event_is_in_the_language(event: Event, expected: str) -> None:
    """As the page and the API have it."""
    assert expected == event_words.text(language("id"), event, {"x": "Taman"})


@pytest.mark.parametrize(
    ("why", "expected"),
    [
        ("", ""),
        ("; the collector did not run; ", "pengumpul data tidak berjalan"),
        ("disk I/O error", "disk I/O error"),
    ],
)
def test_why_is_in_the_language(why: str, expected: str) -> None:
    """Our reasons are; those of a system stay, and a piece without words is none."""
    assert expected == event_words.why(language("id"), Event(0, "server", "server", "", why))
