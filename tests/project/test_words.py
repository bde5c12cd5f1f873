"""Plain words: short sentences in documents, and none of the words that docs/words.md bans.

Rule: a page or file that still holds a banned word is in a list here that only shrinks.
"""

import re
from pathlib import Path

import pytest

from tests.project.prose import cells, pages, sentences, words
from tests.project.sources import ROOT

LONGEST = 25  # words; a longer sentence is two
BANNED = re.compile(r"^\| (?!banned|---)([^|]+) \| [^|]+ \|$", re.M)
UNPLAIN: set[str] = set()
PLAIN = [page for page in pages() if page.name not in UNPLAIN]


def banned() -> list[str]:
    """Every word of the last table of docs/words.md."""
    table = (ROOT / "docs" / "words.md").read_text().partition("## Banned words")[2]
    return [word for row in BANNED.findall(table) for word in row.split(", ")]


@pytest.mark.parametrize("page", PLAIN, ids=lambda page: page.name)
def test_every_sentence_is_short(page: Path) -> None:
    """Operators and developers read English as a second language."""
    text = page.read_text()
    found = [*sentences(text), *cells(text)]
    assert [] == [one for one in found if words(one) > LONGEST]


@pytest.mark.parametrize("page", PLAIN, ids=lambda page: page.name)
def test_no_page_has_a_banned_word(page: Path) -> None:
    """Outside of code; the list itself is in words.md."""
    text = page.read_text().partition("## Banned words")[0]
    wanted = re.compile(rf"\b(?:{'|'.join(banned())})\b", re.I)
    assert [] == [one for one in [*sentences(text), *cells(text)] if wanted.search(one)]
