"""Makes the packages of every release, and of all that lie in `dist/` signed feeds, in `var/feed`.

Rule: the keys are made once, in `var/feed-keys`. `make clean` leaves them and the feeds alone.
Rule: without apk 3 the feeds of opkg are made all the same, and the last line says what is missing.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from titik_collector.feed import apk_program
from titik_collector.feed.feed_error import FeedError
from titik_collector.feed.feed_folder import Feed, write_feeds
from titik_collector.feed.signing_keys import keys_in
from tools import openwrt_apk, openwrt_ipk, openwrt_luci
from tools.matrix import ROOT

DIST, FEED, KEYS = ROOT / "dist", ROOT / "var/feed", ROOT / "var/feed-keys"
# Who makes packages of each kind, all that there are; each takes the folder to write into.
IPKS: tuple[Callable[[Path], list[Path]], ...] = (openwrt_ipk.build, openwrt_luci.build_ipk)
APKS: tuple[Callable[[Path], list[Path]], ...] = (openwrt_apk.build, openwrt_luci.build_apk)


def make(dist: Path, keys: Path, out: Path, given: list[Path]) -> list[Feed]:
    """Build what can be built here; then the feeds of it, and of whatever `given` names."""
    apk = apk_program.find()
    for build in (*IPKS, *(APKS if apk else ())):
        build(dist)
    packages = [*dist.glob("*.ipk"), *(dist.glob("*.apk") if apk else ()), *given]
    return write_feeds(sorted(packages), out, keys_in(keys), apk)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make openwrt-feed", description=__doc__)
    parser.add_argument("--keys", type=Path, default=KEYS, help="folder of the signing keys")
    parser.add_argument("--out", type=Path, default=FEED, help="what a web server serves")
    parser.add_argument("packages", type=Path, nargs="*", help="more .ipk and .apk files")
    asked = parser.parse_args()
    is_first = not asked.keys.exists()
    try:
        feeds = make(DIST, asked.keys, asked.out, asked.packages)
    except FeedError as error:
        sys.exit(error.text)
    for feed in feeds:
        print(f"{feed.folder}: {', '.join(feed.packages)}")
    if is_first:
        print(f"{asked.keys}: new keys. Keep a copy elsewhere: routers trust no other")
    if apk_program.find() is None:
        print(f"no new feed of 25.12: apk 3 is not in PATH; {openwrt_apk.GET_APK}")


if __name__ == "__main__":
    main()
