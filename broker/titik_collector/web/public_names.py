"""Which files the public page has, by their names: a folder of it has no others.

Rule: what has another name is never served, and an export refuses a folder that has it. It may be
a key, or somebody's page.
Rule: a link is none of them: it may lead to anything.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from titik_collector.languages.codes import CODES
from titik_wire.kinds import SLUG

_CODE = f"(?:{'|'.join(CODES)})"
_PAGE = re.compile(
    r"index\.html|assets/public\.(?:css|js)"
    rf"|{_CODE}/(?:index|history|about)\.html"
    rf"|{_CODE}/place/{SLUG}\.html|{_CODE}/badge/{SLUG}\.svg"
    r"|data/(?:places\.geojson|index\.json)|data/day/[0-9]{4}-[0-9]{2}-[0-9]{2}\.csv"
)
_PARTS = (f"{code}{part}" for code in CODES for part in ("", "/place", "/badge"))
FOLDERS = frozenset({"assets", "data", "data/day", *_PARTS})
# What another web server or git reads there, and the root of a disk; this one serves none of it.
_OF_SERVERS = {
    *("robots.txt", "favicon.ico", "404.html", "CNAME", ".nojekyll", ".htaccess", ".well-known"),
    *(".git", ".gitignore", "README.md", "lost+found"),
}
_HALF = re.compile(r"\.(.+)\.new")  # the export ended while it wrote one


def is_page(path: str) -> bool:
    """Whether a file below the folder is one of the public page."""
    return _PAGE.fullmatch(path) is not None


def others(folder: Path) -> Iterator[Path]:
    """What is in it and not of a public page; nothing if there is no folder."""
    for part in ("", *sorted(FOLDERS)):
        try:
            found = sorted((folder / part).iterdir())
        except FileNotFoundError:
            continue
        yield from (one for one in found if not _is_known(one, f"{part}/" if part else ""))


def _is_known(file: Path, part: str) -> bool:
    name = file.name
    if file.is_symlink():
        return False
    if not part and name in _OF_SERVERS:
        return True
    if file.is_dir():
        return f"{part}{name}" in FOLDERS
    half = _HALF.fullmatch(name)
    return is_page(f"{part}{half[1] if half else name}")
