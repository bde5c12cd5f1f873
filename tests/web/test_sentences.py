"""Sentences of the program in each language."""

import pytest

from titik_collector.languages.language import language
from titik_collector.outputs.output import Event
from titik_collector.web import event_words
from titik_collector.web.sentences import is_ours, translated
from titik_collector.wording.sentence import Length, Sentence, Word

AWAY = Sentence(
    "{state} for {length} ({cause})",
    state=Word("offline"), length=Length(7_800_000), cause=Word("power cut"),
)  # fmt: skip


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
        (Event(0, "lost", "a", "", number=1200), "1200 sampel hilang selamanya"),
        (Event(0, "registered", "a", "", place="x"), "di Taman"),
        (Event(0, "removed", "a", ""), ""),
        (Event(0, "revoked", "a", "", length_ms=None), "tidak punya akses"),
    ],
)
def test_an_event_is_in_the_language(event: Event, expected: str) -> None:
    """As the page and the API have it."""
    assert expected == event_words.text(language("id"), event, {"x": "Taman"})
