"""The sentences of a page, without its code, tables and headings."""

import re
from pathlib import Path

from tests.project.sources import ROOT

FENCE = re.compile(r"^```.*?^```", re.M | re.S)
COMMENT = re.compile(r"<!--.*?-->", re.S)
CODE = re.compile(r"`[^`]*`")
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
BREAK = re.compile(r"^(?:#.*|\|.*|    .*|\s*)$", re.M)  # headings, tables, indented code
ITEM = re.compile(r"^\s*(?:[-*]|\d+\.)\s", re.M)
END = re.compile(r"(?<=[.!?:])[\"')*]*\s+|\n{2,}")
ROW = re.compile(r"^\|(?![ -]*---)(.*)\|$", re.M)


def pages() -> list[Path]:
    """Every page that somebody wrote or that is generated for a reader."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *documents()]


def documents() -> list[Path]:
    """The pages below docs/."""
    return sorted((ROOT / "docs").glob("*.md"))


def sentences(page: str) -> list[str]:
    """What stands between two full stops or colons; a piece of code is one word."""
    text = LINK.sub(r"\1", CODE.sub("CODE", COMMENT.sub("", FENCE.sub("", page))))
    text = ITEM.sub("\n\n", BREAK.sub("\n\n", text))
    return [" ".join(one.split()) for one in END.split(text) if one.strip()]


def cells(page: str) -> list[str]:
    """The same of each cell of its tables."""
    rows = [CODE.sub("CODE", row).split("|") for row in ROW.findall(FENCE.sub("", page))]
    return [one for row in rows for cell in row for one in sentences(cell.strip())]


def words(sentence: str) -> int:
    """How many: `a = b + c` has three, because signs are none."""
    return len(re.findall(r"\w[\w'./-]*", sentence))
