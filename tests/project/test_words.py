"""Plain words: short sentences in documents, and none of the words that docs/words.md bans.

Rule: a page or file that still holds a banned word is in a list here that only shrinks.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.project.prose import cells, pages, sentences, words
from tests.project.sources import PACKAGES, ROOT, files

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


# A class whose name stands twice on purpose: the second reads as one of the first.
DELIBERATE = {
    "Broker": "a table of each half's configuration, for the same broker",
    "Collector": "a table of the configuration, and what it configures",
    "Config": "the configuration of each half",
    "ConfigError": "the operator's mistake in the configuration of each half",
    "Interfaces": "a table of the configuration, and what it configures",
    "Probe": "a table of the configuration, and the section that it makes",
    "Reach": "a table of the configuration, and the section that it makes",
    "Real": "the limits of a field of the contract, and of a setting",
    "Spool": "a table of the configuration, and what it configures",
    "Store": "a table of the configuration, and what it configures",
    "Text": "the limits of a field of the contract, and of a setting",
    "Whole": "the limits of a field of the contract, and of a setting",
}
# Still to be renamed. This list only shrinks.
TWICE = {
    "City", "Link", "LinkDown", "Router", "Site",
}  # fmt: skip


def declared() -> dict[str, list[str]]:
    """Each class of the product, with the files that declare it."""
    found: dict[str, list[str]] = defaultdict(list)
    for package in PACKAGES:
        for file in files(package):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    found[node.name].append(str(file.relative_to(ROOT)))
    return found


def test_a_class_is_declared_once() -> None:
    """A name that means two things sends a reader to the wrong file."""
    twice = {name: where for name, where in declared().items() if len(where) > 1}
    assert {} == {name: where for name, where in twice.items() if name not in {*DELIBERATE, *TWICE}}


def test_no_name_is_excused_that_stands_once() -> None:
    """The lists shrink with the code."""
    twice = {name for name, where in declared().items() if len(where) > 1}
    assert set() == set(DELIBERATE) - twice
