"""docs/integrations.md has a row and a section of each program, and says what was tried."""

import re

import pytest

from tests.project.prose import sentences
from tests.project.sources import ROOT

PAGE = (ROOT / "docs" / "integrations.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n?)*)", PAGE, re.M))
ROWS = [
    [cell.strip() for cell in row.split("|")]
    for row in re.findall(r"^\| (.*) \|$", PAGE.partition("\n## ")[0], re.M)[1:]
]
TRIED = {row[0]: row[2] for row in ROWS}
VERSION = re.compile(r"\d+(?:\.\d+)+")
NOT_RUN = "not run here"
# The folders with which Titik itself is put onto a machine.
OUR_OWN = {"high-availability", "linux", "openwrt"}


def link(title: str) -> str:
    """To a section, with the anchor that a reader's browser makes."""
    anchor = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
    return f"[{title}](#{anchor})"


def test_each_program_has_its_row_at_the_top() -> None:
    """In the order of the sections."""
    assert [link(title) for title in SECTIONS] == [row[0] for row in ROWS]


@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_says_with_which_version_it_was_tried(title: str) -> None:
    """Or that it was not run here; its row says the same."""
    found = sentences(SECTIONS[title])
    tried = [one for one in found if one.startswith("Tried ")]
    versions = {version for one in tried for version in VERSION.findall(one)}
    assert versions == set(VERSION.findall(TRIED[link(title)]))
    assert versions or NOT_RUN in TRIED[link(title)]
    if NOT_RUN in TRIED[link(title)]:
        assert any(NOT_RUN in one for one in found)


def test_each_file_for_a_program_is_in_a_section() -> None:
    """By a link to it, or to its folder."""
    linked = {ROOT / "docs" / one for one in re.findall(r"\]\((\.\./deploy/[^)]+)\)", PAGE)}
    named = {one.resolve() for one in linked}
    folders = [one for one in (ROOT / "deploy").iterdir() if one.name not in OUR_OWN]
    files = [one for folder in folders for one in folder.rglob("*") if one.is_file()]
    assert [] == [str(one) for one in files if named.isdisjoint({one, one.parent})]
