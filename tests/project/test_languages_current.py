"""The catalogues of the page hold every text, translated, and are compiled."""

import gettext
import io
import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from tools import write_languages

PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")


@pytest.mark.parametrize("path", list(write_languages.current()))
def test_the_catalogues_are_current(path: Path) -> None:
    """`make languages` was run after the last text changed."""
    made, there = write_languages.current()[path], path.read_bytes()
    assert (made == there) if path.suffix == ".po" else (texts(made) == texts(there))


@pytest.mark.parametrize("po", list(write_languages.catalogues()))
def test_every_text_is_translated(po: Path) -> None:
    """With the same placeholders."""
    with po.open("rb") as opened:
        catalogue = read_po(opened)
    entries = [one for one in catalogue if one.id]
    assert [] == [one.id for one in entries if not one.string or "" in tuple(one.string)]
    assert [] == [one.id for one in entries if held(one.id) != held(one.string)]


@pytest.mark.parametrize("po", list(write_languages.catalogues()))
def test_no_translation_ends_with_another_text(po: Path) -> None:
    """As one does where two entries were pasted into one."""
    with po.open("rb") as opened:
        entries = [(str(one.id), str(one.string)) for one in read_po(opened) if one.id]
    sentences = [text for text, _ in entries if len(text) > 40]
    assert [] == [text for text, made in entries if any(one in made for one in sentences)]


def texts(mo: bytes) -> dict[object, str]:
    """The compiled texts, without the header, which names the program that compiled them."""
    found = dict(vars(gettext.GNUTranslations(io.BytesIO(mo)))["_catalog"])
    found.pop("")
    return found


def held(text: str | tuple[str, ...] | list[str] | None) -> set[str]:
    """The placeholders of a text, or of its plural."""
    return set(PLACEHOLDER.findall(text if isinstance(text, str) else (text or [""])[-1]))
