"""The texts of LuCI's pages: their template, and catalogues as LuCI reads them.

LuCI's own scanner and compiler do the same in its SDK. A catalogue (`.lmo`) has the texts, each
filled to four bytes. An index of keys, forms, offsets and lengths follows, then its place.

Rule: `python -m tools.luci` writes the template; a translation is written by hand.
"""

import json
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from babel.messages import pofile

from tools.matrix import ROOT

APPLICATION = ROOT / "deploy/openwrt/luci-app-titik"
TEMPLATE = APPLICATION / "po/templates/titik.pot"
_TEXT = re.compile(r"\b_\('((?:[^'\\]|\\.)*)'\)")
_MASK = 0xFFFFFFFF


def texts() -> dict[str, list[str]]:
    """Each text of views, menu and rights, and the files that it stands in."""
    found: dict[str, list[str]] = {}
    for file in sorted(APPLICATION.glob("**/*.js")):
        for text in _TEXT.findall(file.read_text(encoding="utf-8")):
            _note(found, text.replace("\\'", "'"), file)
    for file in sorted(APPLICATION.glob("root/**/*.json")):
        for text in _named(json.loads(file.read_text(encoding="utf-8"))):
            _note(found, text, file)
    return found


def _note(found: dict[str, list[str]], text: str, file: Path) -> None:
    place = str(file.relative_to(APPLICATION))
    if place not in found.setdefault(text, []):
        found[text].append(place)


def _named(entries: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for entry in entries.values():
        yield from (entry[key] for key in ("title", "description") if key in entry)


def template() -> str:
    """What a translator begins with."""
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8"\n'
    return head + "".join(
        "\n" + "".join(f"#: {place}\n" for place in places) + f'msgid {_quoted(text)}\nmsgstr ""\n'
        for text, places in sorted(texts().items())
    )


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def translations(language: str) -> dict[str, str]:
    """By the text; none of a language that has no catalogue."""
    file = APPLICATION / "po" / language / "titik.po"
    if not file.exists():
        return {}
    with file.open("rb") as opened:
        return {str(one.id): str(one.string) for one in pofile.read_po(opened) if one.id}


def lmo(translated: Mapping[str, str]) -> bytes:
    """The catalogue; what is the same in both languages is not in it."""
    body, index = b"", []
    for text, written in translated.items():
        content = written.encode()
        if written and written != text:
            index.append((key_of(text), 1, len(body), len(content)))
            body += content + bytes(-len(content) % 4)
    return (
        body
        + b"".join(struct.pack(">4I", *one) for one in sorted(index))
        + struct.pack(">I", len(body))
    )


def read_lmo(catalogue: bytes) -> dict[int, str]:
    """The texts of a catalogue by their keys."""
    (start,) = struct.unpack(">I", catalogue[-4:])
    index = struct.iter_unpack(">4I", catalogue[start:-4])
    return {key: catalogue[at : at + size].decode() for key, _, at, size in index}


def key_of(text: str) -> int:
    """Paul Hsieh's hash of the text's bytes, begun with their number."""
    data = text.encode()
    value, whole = len(data), len(data) // 4 * 4
    for first, second in struct.iter_unpack("<HH", data[:whole]):
        value = value + first & _MASK
        value = (value << 16 ^ second << 11 ^ value) & _MASK
        value = value + (value >> 11) & _MASK
    value = _rest(value, data[whole:])
    for left, right in ((3, 5), (4, 17), (25, 6)):
        value = (value ^ value << left) & _MASK
        value = value + (value >> right) & _MASK
    return value


def _rest(value: int, last: bytes) -> int:
    """The up to three bytes behind the last four; a single one counts as signed."""
    if not last:
        return value
    alone = last[-1] - 256 if last[-1] > 127 else last[-1]
    if len(last) == 1:
        value = value + alone & _MASK
        value = (value ^ value << 10) & _MASK
        return value + (value >> 1) & _MASK
    value = value + (last[0] | last[1] << 8) & _MASK
    if len(last) == 2:
        value = (value ^ value << 11) & _MASK
        return value + (value >> 17) & _MASK
    value = (value ^ value << 16) & _MASK
    value = (value ^ alone << 18) & _MASK
    return value + (value >> 11) & _MASK


if __name__ == "__main__":
    TEMPLATE.write_text(template(), encoding="utf-8")
