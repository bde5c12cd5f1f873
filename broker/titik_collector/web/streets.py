"""An operator's own streets: a PMTiles file of vector tiles, in the layers of Protomaps.

Rule: the server reads its head and its description; browsers ask for the rest a part at a time.
Rule: a file that browsers could not draw is refused at the start.
"""

import html
import json
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from titik_collector.config.model import Config, ConfigError
from titik_collector.limits import MAX_DESCRIPTION

# PMTiles v3 begins with its name and version. Offset and length of root, description, leaves and
# tiles follow, then three counts. The bytes are order, two compressions, kind, and two zooms.
_HEAD = struct.Struct("<7sB11Q6B")
_RAW, _GZIP, _VECTOR = 1, 2, 1
_LAYER = "roads"
_OSM = "© OpenStreetMap contributors"  # of those whose file names nobody
_REMEDY = "give a file of Protomaps' streets (pmtiles extract, see docs/web.md), or GeoJSON"


@dataclass(frozen=True, slots=True)
class Streets:
    """What browsers have to know before they ask for a part."""

    file: Path
    max_zoom: int  # of its tiles; what is nearer is drawn from these
    attribution: str


class _Head(NamedTuple):
    """What counts of a file's first bytes."""

    description: tuple[int, int]  # where it begins, and how long it is
    end: int  # of the whole file, in bytes
    packed: int  # how the description is
    max_zoom: int


def of_city(config: Config) -> Streets | None:
    """The file that the operator gave; ConfigError, with a remedy, if browsers cannot draw it."""
    file = config.web.streets
    if file is None:
        return None
    try:
        return read(file)
    except (OSError, ValueError) as error:
        raise ConfigError(config.file, "web.basemap", f"{file}: {error}", _REMEDY) from error


def read(file: Path) -> Streets:
    """ValueError, with what is wrong, if browsers cannot draw it."""
    with file.open("rb") as opened:
        head = _head(opened.read(_HEAD.size))
        if opened.seek(0, 2) < head.end:
            raise ValueError("is cut off; copy it again")
        return Streets(file, head.max_zoom, _attribution(_described(opened, head)))


def _head(content: bytes) -> _Head:
    if len(content) < _HEAD.size or not content.startswith(b"PMTiles"):
        raise ValueError("is no PMTiles file")
    _, version, *numbers = _HEAD.unpack(content)
    if version != 3:
        raise ValueError(f"is PMTiles of version {version}, not 3")
    *places, _, _, _, _, packed, tiles_packed, kind, _, max_zoom = numbers
    if kind != _VECTOR:
        raise ValueError("holds pictures, not vector tiles")
    if not {packed, tiles_packed} <= {_RAW, _GZIP}:
        raise ValueError("is compressed as browsers cannot read it, not with gzip")
    parts = list(zip(places[::2], places[1::2], strict=True))
    return _Head(parts[1], max(map(sum, parts)), packed, max_zoom)


def _described(opened: BinaryIO, head: _Head) -> dict[str, Any]:
    """What the file says of itself; it has to have roads."""
    start, length = head.description
    if length > MAX_DESCRIPTION:
        raise ValueError("has a description that is too long")
    opened.seek(start)
    text = opened.read(length)
    try:
        if head.packed == _GZIP:
            text = zlib.decompressobj(31).decompress(text, MAX_DESCRIPTION)
        found: dict[str, Any] = json.loads(text)
        layers = {one["id"] for one in found["vector_layers"]}
    except (zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("does not say which layers it has") from error
    if _LAYER not in layers:
        raise ValueError(f"has no layer {_LAYER!r}")
    return found


def _attribution(found: dict[str, Any]) -> str:
    """Files have it as HTML; the page shows its words."""
    words = html.unescape(re.sub("<[^>]*>", "", str(found.get("attribution") or "")))
    return " ".join(words.split()) or _OSM
