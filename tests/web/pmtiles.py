"""A tiny real PMTiles file: every tile of the world has the same ground and the same road.

Rule: as PMTiles v3 and Mapbox's vector tiles 2.1 describe them, with the layers of Protomaps.
"""

import gzip
import json
import struct
from pathlib import Path
from typing import Any

MAX_ZOOM = 15
_ALL = (4 ** (MAX_ZOOM + 1) - 1) // 3  # tiles of all zooms
_EXTENT = 4096
_LINE, _AREA = 2, 3
_HEAD = 127
CREDIT = '<a href="https://www.openstreetmap.org/copyright">&copy; OpenStreetMap</a>'


def write(file: Path, layer: str = "roads", **changed: int) -> Path:
    """`changed`: numbers of the head that are others; `cut`: bytes that are missing at the end."""
    parts = [
        gzip.compress(_varints(1, 0, _ALL, len(_tile()), 1)),  # one entry: from tile 0 on
        gzip.compress(json.dumps(_description(layer)).encode()),
        b"",  # no leaves
        _tile(),
    ]
    head: dict[str, int] = {
        "version": 3, "in_order": 1, "packed": 2, "tiles_packed": 2, "kind": 1, "min_zoom": 0,
        "max_zoom": MAX_ZOOM,
    } | changed  # fmt: skip
    starts = [_HEAD + sum(map(len, parts[:n])) for n in range(4)]
    places = [
        number for start, part in zip(starts, parts, strict=True) for number in (start, len(part))
    ]
    names = ("in_order", "packed", "tiles_packed", "kind", "min_zoom", "max_zoom")
    content = b"".join([
        b"PMTiles", bytes([head["version"]]), struct.pack("<11Q", *places, _ALL, 1, 1),
        bytes([head[name] for name in names]),
        struct.pack("<4iB2i", -1800000000, -850000000, 1800000000, 850000000, 0, 0, 0),
        *parts,
    ])  # fmt: skip
    file.write_bytes(content[: len(content) - changed.get("cut", 0)])
    return file


def _description(layer: str) -> dict[str, Any]:
    return {"vector_layers": [{"id": layer, "fields": {}}], "attribution": CREDIT}


def _tile() -> bytes:
    """Ground all over, and a highway from west to east through the middle."""
    side, middle = _EXTENT, _EXTENT // 2
    ground = [9, 0, 0, 26, side * 2, 0, 0, side * 2, side * 2 - 1, 0, 15]
    road = [9, 0, middle * 2, 10, side * 2, 0]
    layers = _layer("earth", "earth", _AREA, ground) + _layer("roads", "highway", _LINE, road)
    return gzip.compress(layers, mtime=0)


def _layer(name: str, kind: str, shape: int, geometry: list[int]) -> bytes:
    feature = _field(2, _varints(0, 0)) + _varints(3 << 3, shape) + _field(4, _varints(*geometry))
    return _field(
        3,
        _varints(15 << 3, 2) + _field(1, name.encode()) + _field(2, feature) + _field(3, b"kind")
        + _field(4, _field(1, kind.encode())) + _varints(5 << 3, _EXTENT),
    )  # fmt: skip


def _field(number: int, content: bytes) -> bytes:
    """Of a protocol buffer, with its length."""
    return _varints(number << 3 | 2, len(content)) + content


def _varints(*numbers: int) -> bytes:
    written = bytearray()
    for number in numbers:
        while number > 127:
            written.append(number & 127 | 128)
            number >>= 7
        written.append(number)
    return bytes(written)
