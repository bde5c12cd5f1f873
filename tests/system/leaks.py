"""Looks for every pattern of every visitor in megabytes of anything, in seconds.

Rule: chance is reckoned with, not hoped against. Patterns are random and know nothing of the texts,
so each window of a text is taken for one with a known probability. A kind counts as found when it
is found of more visitors than chance gives once in a million days; for what is long, of one.

A text is read as eight-byte numbers from each of its first eight bytes on (and as four-byte ones
for shorter patterns), which are looked up in a set; only what is in it is compared in full.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

from tests.system.visitors import KINDS, VISITORS, patterns, visitors

ODDS = 1e-6  # of one false alarm in a day, all kinds together
CHUNK = 1 << 20

_LONG, _SHORT = 8, 4
_FORMAT: Final[dict[int, Literal["Q", "I"]]] = {_LONG: "Q", _SHORT: "I"}

Found = dict[tuple[str, str], set[int]]  # by text and kind: the visitors
_Key = tuple[int, bool]  # width, folded
_Spots = dict[_Key, dict[bytes, list[tuple[str, int]]]]  # by beginning: texts and offsets

_PAIR = rb"(?:[a-f][0-9a-f]|[0-9][a-f])"
_GAP = rb"[^0-9a-z]{1,3}"
_SHAPES = {  # of lower case
    "pairs": re.compile(rb"(?=(%b%b%b%b%b))" % (_PAIR, _GAP, _PAIR, _GAP, _PAIR)),
    "quads": re.compile(rb"(?=(%b{2}[.:-]%b{2}))" % (_PAIR, _PAIR)),
    "octets": re.compile(rb"(?=(%b{4}))" % _PAIR),
    "groups": re.compile(rb"(?=(f[ef][0-9a-f]{2}:[0-9a-f]{3,4}))"),
}
_RUNS = {"hex": rb"[0-9a-f]{8,}", "word": rb"[0-9a-z+/_-]{8,}"}
# Bytes that are written with a letter, as every octet of a visitor's is.
_LETTERED = re.compile(
    rb"[%b\xa0-\xff]{4,}" % b"".join(rb"\x%xa-\x%xf" % (tens, tens) for tens in range(10))
)


def search(texts: Mapping[str, bytes]) -> Found:
    """Which visitors are found in which text, and as what."""
    spots = _candidates(texts, _beginnings())
    folded = {name: text.lower() for name, text in texts.items()}
    found: Found = defaultdict(set)
    for number, kind, pattern in _everything():
        is_folded = KINDS[kind].folded
        width = _width(pattern)
        for name, at in spots[width, is_folded].get(pattern[:width], ()):
            text = folded[name] if is_folded else texts[name]
            if text.startswith(pattern, at):
                found[name, kind].add(number)
    return found


def limits(texts: Iterable[bytes]) -> dict[str, int]:
    """Of how many visitors each kind may be found by chance."""
    possible = windows(texts)
    each = Counter(kind for kind, _ in patterns(visitors()[0]))
    return {
        name: _most(each[name] * VISITORS * possible[kind.among] / 2**kind.bits)
        for name, kind in KINDS.items()
    }


def windows(texts: Iterable[bytes]) -> dict[str, int]:
    """How many windows could be taken for a pattern; to count too many costs sharpness only.

    `bytes`: all. `lettered`: see above. The others are counted once however often they occur.
    """
    counts = Counter[str]()
    runs: dict[str, set[bytes]] = {name: set() for name in _RUNS}
    shapes: dict[str, set[bytes]] = {name: set() for name in _SHAPES}
    for text in texts:
        counts["bytes"] += len(text)
        counts["lettered"] += sum(len(run) - 3 for run in _LETTERED.findall(text))
        small = text.lower()
        for name, run in _RUNS.items():
            runs[name].update(re.findall(run, small))
        runs["word"].update(re.findall(rb"[0-9A-Za-z+/_-]{8,}", text))
        for name, shape in _SHAPES.items():
            shapes[name].update(shape.findall(small))
    counts.update({name: sum(len(run) - 7 for run in some) for name, some in runs.items()})
    counts.update({name: len(some) for name, some in shapes.items()})
    return dict(counts)


def _most(expected: float) -> int:
    """The number that a Poisson variable exceeds less often than its share of ODDS."""
    term = below = math.exp(-expected)
    number = 0
    while 1 - below > ODDS / len(KINDS) and number < VISITORS:
        number += 1
        term *= expected / number
        below += term
    return number


def _everything() -> Iterator[tuple[int, str, bytes]]:
    for number, visitor in enumerate(visitors()):
        for kind, pattern in patterns(visitor):
            yield number, kind, pattern


def _width(pattern: bytes) -> int:
    return _LONG if len(pattern) >= _LONG else _SHORT


def _beginnings() -> dict[_Key, set[int]]:
    """Of every pattern, as a number."""
    sought: dict[_Key, set[bytes]] = {
        (width, folded): set() for width in _FORMAT for folded in (False, True)
    }
    for _, kind, pattern in _everything():
        width = _width(pattern)
        sought[width, KINDS[kind].folded].add(pattern[:width])
    return {
        key: set(memoryview(b"".join(some)).cast(_FORMAT[key[0]])) for key, some in sought.items()
    }


def _candidates(texts: Mapping[str, bytes], sought: dict[_Key, set[int]]) -> _Spots:
    spots: _Spots = {key: defaultdict(list) for key in sought}
    for name, text in texts.items():
        small = text.lower()
        for (width, folded), numbers in sought.items():
            hits = spots[width, folded]
            whole = small if folded else text
            for at in _places(whole, width, numbers):
                hits[whole[at : at + width]].append((name, at))
    return spots


def _places(text: bytes, width: int, numbers: set[int]) -> Iterator[int]:
    """Offsets at which one of the numbers stands."""
    if not numbers:
        return
    for begin in range(0, len(text), CHUNK):
        for shift in range(width):
            first = begin + shift
            size = (min(len(text), begin + CHUNK + width - 1) - first) // width * width
            if size <= 0:
                continue
            read = memoryview(text)[first : first + size].cast(_FORMAT[width])
            if not numbers.isdisjoint(read):
                yield from (first + n * width for n, one in enumerate(read) if one in numbers)
