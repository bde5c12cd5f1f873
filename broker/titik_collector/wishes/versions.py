"""Which version of the agent a router can take as newer than the one that it runs.

Rule: the router's own package manager decides, apk or opkg. What both order alike is known here,
and what they may order differently is left to the router.
Rule: a router reports no release of its package, so behind its version may be any.
"""

import re
from collections.abc import Collection

from titik_wire.fleet_messages import UPGRADE_VERSION

_VERSION = re.compile(UPGRADE_VERSION)
_PARTS = re.compile(r"(\d+(?:\.\d+)*)(.*)", re.ASCII)
_RELEASE = re.compile(r"(?:-r(\d+))?", re.ASCII)
_FIRST = 1  # the release that goes without saying


def is_version(text: str) -> bool:
    """Whether a router would look for it in its feed."""
    return _VERSION.fullmatch(text) is not None


def plain(version: str) -> str:
    """As a router reports it: without the release of its package."""
    return version.partition("-r")[0]


def can_be_taken(version: str, running: Collection[str]) -> bool:
    """Whether one of these may be older. Where nothing runs that is known, it may."""
    return not running or any(may_be_newer(version, one) for one in running)


def may_be_newer(version: str, runs: str) -> bool:
    """Whether a router that reports `runs` may take it as newer."""
    wanted, rest = _parts(version)
    has, rest_of_has = _parts(runs)
    # Of 0.09 apk takes the digits one by one, and opkg the number.
    if not wanted or not has or any(map(_is_padded, (*wanted, *has))):
        return True
    for one, other in zip(wanted, has, strict=False):
        if one != other:
            return int(one) > int(other)
    release, release_of_has = _release(rest), _release(rest_of_has)
    if release is None or release_of_has is None:
        return True
    if len(wanted) != len(has):
        return len(wanted) > len(has)
    return release > max(_FIRST, release_of_has)


def _is_padded(number: str) -> bool:
    return number.startswith("0") and len(number) > 1


def _parts(version: str) -> tuple[list[str], str]:
    """Its numbers, and what follows them; none of what is no version."""
    found = _PARTS.fullmatch(version)
    return ([], version) if found is None else (found[1].split("."), found[2])


def _release(rest: str) -> int | None:
    """None: something else follows."""
    found = _RELEASE.fullmatch(rest)
    return None if found is None else int(found[1] or _FIRST)
