"""The server's configuration: any file gives a Config or a ConfigError, and can be edited.

A router that is added and removed again leaves the meaning of the file as it was.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.targets import folder
from titik_collector.config import edit
from titik_collector.config.model import ConfigError, load
from titik_collector.config.site_tables import Router

EXAMPLE = Path(__file__).parents[3] / "examples" / "kupang.toml"
NEW = "fuzz-router"
SMALL = b"""[city]
name = "kupang"
title = "Kota Kupang"
timezone = "Asia/Makassar"
[store]
path = "titik.db"
[[site]]
name = "a"
title = "A"
[[router]]
name = "a-1"
site = "a"
since = 2026-11-23
"""


def seeds() -> Sequence[bytes]:
    full = (
        b'[broker]\nhost = "h"\nport = 1883\nusername = "u"\npassword_file = "p"\nca_file = "c"\n'
    )
    place = b"latitude = -10.1\nlongitude = 123.6\ncapacity = 50\nuplink_mbps = 100\n"
    facts = b'provider = "T"\nhours = "Mo-Fr 18:00-02:00; Su off"\ntier = 2\ntags = ["a", "b"]\n'
    dated = b"since = 2026-11-23T08:00:00+08:00\n"
    return [
        SMALL,
        full + b'[collector]\nid = "x"\n' + SMALL,
        SMALL + b'# more\n[[site]]\nname = "b"\ntitle = "B"\n' + place + facts,
        SMALL.replace(b"since = 2026-11-23\n", dated),
        EXAMPLE.read_bytes()[:2000],
    ]


def one(data: bytes) -> None:
    file = folder("collector-config") / "titik.toml"
    file.write_bytes(data)
    try:
        config = load(file)
    except ConfigError:
        return
    for router in config.router:
        config.since_ms(router)
    if not config.site:
        return
    try:
        edit.add(config, Router(name=NEW, site=config.site[0].name))
        grown = load(file)
        edit.remove(grown, NEW)
    except ConfigError:
        return  # it says that a person must edit this one
    assert config == load(file)
