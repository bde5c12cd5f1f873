"""Plain words: short sentences in documents, and none of the words that docs/words.md bans.

Rule: what may break a rule is in a list here, with the reason.
"""

import ast
import io
import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.project.prose import cells, pages, sentences, words
from tests.project.sources import PACKAGES, ROOT, files, nodes, tree

LONGEST = 25  # words; a longer sentence is two
BANNED = re.compile(r"^\| (?!banned|---)([^|]+) \| [^|]+ \|$", re.M)

PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # of snake_case and CamelCase
SPOKEN = {"NAME", "STRING", "COMMENT", "FSTRING_MIDDLE"}  # kinds of tokens
SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|FROM)\b")  # names tables as the store has them
BESIDE = ("tests", "tools", "bench")  # what is no part of the product


@cache
def banned() -> list[str]:
    """Every word of the last table of docs/words.md."""
    table = (ROOT / "docs" / "words.md").read_text().partition("## Banned words")[2]
    return [word for row in BANNED.findall(table) for word in row.split(", ")]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_sentence_is_short(page: Path) -> None:
    """Operators and developers read English as a second language."""
    text = page.read_text()
    found = [*sentences(text), *cells(text)]
    assert [] == [one for one in found if words(one) > LONGEST]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_no_page_has_a_banned_word(page: Path) -> None:
    """Outside of code; the list itself is in words.md."""
    text = page.read_text().partition("## Banned words")[0]
    wanted = re.compile(rf"\b(?:{'|'.join(banned())})\b", re.I)
    assert [] == [one for one in [*sentences(text), *cells(text)] if wanted.search(one)]


# What may keep a banned word, because a database, a message or a grammar has it.
KEPT = {
    ("bench/procfs.py", "dirty"): "what the kernel calls it",
    ("titik_collector/config/schema.py", "letter"): "a character, not a message",
    ("titik_collector/screens/status_screen.py", "poison"): "a name of `status --json`",
    ("titik_collector/store/__init__.py", "dirty"): "a table of the store",
    ("titik_collector/store/__init__.py", "knock"): "a table of the store",
    ("titik_collector/store/__init__.py", "news"): "a table of the store",
    ("titik_collector/store/__init__.py", "quarantine"): "a table of the store",
    ("titik_collector/store/changed_span_rows.py", "dirty"): "a table of the store",
    ("titik_collector/store/malformed.py", "poison"): "a stored name, and one of `status --json`",
    ("titik_collector/store/outages.py", "said"): "a column of the store",
    ("titik_collector/store/presence_rows.py", "said"): "a column of the store",
    ("titik_collector/store/stamps.py", "knock"): "a table of the store",
    ("titik_collector/store/stamps.py", "quarantine"): "a table of the store",
    ("titik_collector/store/unpublished.py", "news"): "a table of the store",
    ("tests/broker/test_ports.py", "letter"): "a character, not a message",
    ("tests/collector/test_rollup.py", "dirty"): "a table of the store",
    ("tests/collector/test_server_cause.py", "said"): "a column of the store",
    ("tests/collector/test_two_engines.py", "dirty"): "a table of the store",
    ("tests/collector/test_two_engines.py", "news"): "a table of the store",
    ("tests/faults/scenarios.py", "poison"): "a scenario of docs/reliability.md",
    ("tests/faults/traffic.py", "poison"): "the same",
    ("tests/lab/play_topologies.py", "letter"): "a character, the name of a namespace",
    ("tests/lab/topologies.py", "letter"): "a character, not a message",
    ("tests/system/leaks.py", "letter"): "a character of an address",
    ("tests/system/test_privacy_day.py", "quarantine"): "a table of the store",
    ("tests/system/visitors.py", "letter"): "a character of an address",
    ("tools/write_reliability.py", "poison"): "a scenario of docs/reliability.md",
}


def spoken(text: str) -> Iterator[str]:
    """Every name, string and comment of a file, with its words apart and in lower case."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if tokenize.tok_name[token.type] in SPOKEN and not SQL.search(token.string):
            yield " ".join(PART.findall(token.string)).lower()


@cache
def held(file: Path) -> set[tuple[str, str]]:
    """The banned words of a file, each with the file."""
    name = f"{file.relative_to(ROOT)}".removeprefix("agent/").removeprefix("broker/")
    wanted = re.compile(rf"\b({'|'.join(banned())})\b")
    return {(name, found) for found in wanted.findall("\n".join(spoken(file.read_text())))}


@cache
def beside() -> list[Path]:
    """Our files that are no part of the product; this one has the words on purpose."""
    found = [file for folder in BESIDE for file in sorted((ROOT / folder).rglob("*.py"))]
    return [file for file in found if file != Path(__file__)]


@pytest.mark.thorough
@pytest.mark.parametrize("package", PACKAGES)
def test_no_code_has_a_banned_word(package: str) -> None:
    """In a name, a message, a docstring or a comment."""
    found = set().union(*(held(file) for file in files(package)))
    assert set() == found - set(KEPT)


@pytest.mark.thorough
def test_no_test_or_tool_has_a_banned_word() -> None:
    """They are read as often as the product."""
    found = set().union(*(held(file) for file in beside()))
    assert set() == found - set(KEPT)


def docstrings(file: Path) -> Iterator[str]:
    """Those of a file, of its classes and of its functions."""
    for node in nodes(file):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield (ast.get_docstring(node) or "").replace("\nRule:", "\n\nRule:")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_docstring_has_short_sentences(package: str) -> None:
    """As the pages have."""
    found = [
        (str(file.relative_to(PACKAGES[package].parent)), one)
        for file in files(package)
        for text in docstrings(file)
        for one in sentences(text)
        if words(one) > LONGEST
    ]
    assert [] == found


def comments(text: str) -> Iterator[str]:
    """Those of a file; lines that follow each other are one."""
    block: list[str] = []
    last = -1
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            is_alone = token.line.lstrip().startswith("#")
            if not is_alone or token.start[0] != last + 1:
                yield " ".join(block)
                block = []
            block.append(token.string.lstrip("# "))
            last = token.start[0] if is_alone else -1
    yield " ".join(block)


@pytest.mark.thorough
@pytest.mark.parametrize("package", PACKAGES)
def test_every_comment_has_short_sentences(package: str) -> None:
    """As docstrings have."""
    found = [
        (str(file.relative_to(PACKAGES[package].parent)), one)
        for file in files(package)
        for text in comments(file.read_text())
        for one in sentences(text)
        if words(one) > LONGEST
    ]
    assert [] == found


# A class whose name stands twice on purpose: the second reads as one of the first.
DELIBERATE = {
    "Broker": "a table of each half's configuration, for the same broker",
    "Collector": "a table of the configuration, and what it configures",
    "Config": "the configuration of each half",
    "ConfigError": "the operator's mistake in the configuration of each half",
    "Interfaces": "a table of the configuration, and what it configures",
    "Link": "the connection to the broker that each half keeps up",
    "Probe": "a table of the configuration, and the section that it makes",
    "Reach": "a table of the configuration, and the section that it makes",
    "Spool": "a table of the configuration, and what it configures",
}


@cache
def declared() -> dict[str, list[str]]:
    """Each class of the product, with the files that declare it."""
    found: dict[str, list[str]] = defaultdict(list)
    for package in PACKAGES:
        for file in files(package):
            for node in tree(file).body:
                if isinstance(node, ast.ClassDef):
                    found[node.name].append(str(file.relative_to(ROOT)))
    return found


def test_a_class_is_declared_once() -> None:
    """A name that means two things sends a reader to the wrong file."""
    twice = {name: where for name, where in declared().items() if len(where) > 1}
    assert {} == {name: where for name, where in twice.items() if name not in DELIBERATE}


def test_no_name_is_excused_that_stands_once() -> None:
    """The lists shrink with the code."""
    twice = {name for name, where in declared().items() if len(where) > 1}
    assert set() == set(DELIBERATE) - twice


def test_no_banned_word_is_excused_that_is_gone() -> None:
    """As of the classes."""
    ours = [*beside(), *(file for package in PACKAGES for file in files(package))]
    assert set() == set(KEPT) - set().union(*(held(file) for file in ours))


# Words of class names that any dictionary explains, or that name a product, a protocol or a file.
PLAIN_WORDS = """
actor many no setup sign slowing too
frame length meridian scale spot word
accepted access acked address addresses again amount answer arrival asked at backup bad blob
bounded bulk busy bytes calendar cannot change changes clean clock closed computed config
connection control conversation copied count covered cpu csv damaged database dated default demo
doubtful down echo end ended error expiry file files finished found given hash host hostapd
hour hours id inbox ingest instant interface interfaces issued items jsonl jump kept kind known last
later left life limit limits line list loop loss lossy machine mean message migration minutes
mosquitto move moved name named names net new newest not offline offsets old once opening other ours
owner pair part placed placing plainly ports position postgres pruning publisher
publishing query rate real received registration reload remedies removal removed reporting
reported request restarted restatement restored revocation right row rows sampler
saved schedule search seen self service setting shape share shares simulated
slow socket sqlite start state station status stock stopped sum sums system table tables text time
timekeeping times timing tls top topics totals traffic trouble ubus uncopied unpacking
unpublished unseen unstorable unverifiable up wan warned watch web where whole world writer written
who head language query static unanswered headers
about api bar bars export feature features history interval mark much parameter present problem
published there too total
measure overall commands handshake mendable
chart hourly pdf summed use
apprise call holder http lines mail smtp webhook
failing failure firing health heart listener own result send try words influx
"""
PLAIN = set(PLAIN_WORDS.split())


@cache
def glossary() -> set[str]:
    """Every word that docs/words.md explains."""
    page = (ROOT / "docs" / "words.md").read_text().partition("## Banned words")[0]
    rows = re.findall(r"^\| (?!word )([^|]+) \| [^|]+ \|$", page, re.M)
    return {word for row in rows for word in re.findall(r"[a-z]+", row.lower())}


def is_explained(word: str) -> bool:
    """In the glossary, as it is or in the singular."""
    return not glossary().isdisjoint({word, word.removesuffix("s"), word.removesuffix("es")})


@cache
def of_classes() -> set[str]:
    """The words of all class names, in lower case."""
    names = (
        node.name
        for package in PACKAGES
        for file in files(package)
        for node in nodes(file)
        if isinstance(node, ast.ClassDef)
    )
    return {word.lower() for name in names for word in PART.findall(name)}


def test_every_word_of_a_class_is_explained_or_plain() -> None:
    """A reader meets no word of ours that docs/words.md does not explain."""
    assert set() == {word for word in of_classes() - PLAIN if not is_explained(word)}


def test_no_word_is_plain_that_is_explained_or_gone() -> None:
    """The list shrinks with the code."""
    assert set() == {word for word in PLAIN if is_explained(word)} | (PLAIN - of_classes())


def test_the_glossary_has_each_word_once() -> None:
    """A word with two rows has two meanings."""
    page = (ROOT / "docs" / "words.md").read_text()
    glossary = page.partition("## Banned words")[0]
    rows = Counter(re.findall(r"^\| (?!word )([^|]+) \| [^|]+ \|$", glossary, re.M))
    assert len(rows) > 100
    assert [] == [word for word, times in rows.items() if times > 1]
