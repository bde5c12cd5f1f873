"""The version that the city wishes of this router's agent: handed to root's helper, and no more.

The helper (`titik-upgrade` of the package) installs from the feed that is on the router. What it
makes of the wish stands in a file that it alone writes, one line: revision, state, version, reason.

Rule: two words leave the agent, the revision and the version. It names no address and no file.
Rule: who confirms a new version is its first ack; see `_confirm` in `assemble.py`.
"""

import logging
import math
import os
import re
from dataclasses import replace
from typing import NamedTuple, cast, get_args

from titik_agent import shared_files
from titik_agent.limits import MAX_SMALL_FILE
from titik_agent.wishes.wish_handler import State, WishDesk, WishHandler
from titik_wire import __version__
from titik_wire.fleet_messages import UPGRADE_VERSION, RouterUpgrade, Running

log = logging.getLogger(__name__)

LOOK_S = 5.0  # between looks at what the helper reports
AGAIN_S = 1800.0  # a helper that says nothing for so long has not heard
VERSION = re.compile(UPGRADE_VERSION)
RELEASE = re.compile(r"-r[0-9]")  # of a package; -rc1 is none
NO_HELPER = (
    "no feed to upgrade from: on OpenWrt install one (docs/routers.md, Install); on Debian and"
    " elsewhere upgrade by hand (docs/routers.md, Upgrade)"
)
NOT_THERE = "the helper that upgrades does not run: service titik-agent restart"


class UpgradeOutcome(NamedTuple):
    """The helper's line."""

    revision: int
    state: State
    version: str
    reason: str | None


class UpgradeHandler(WishHandler):
    """`directory`: the helper's; None: there is none."""

    def __init__(self, desk: WishDesk, directory: str | None) -> None:
        super().__init__(desk)
        self._directory = directory
        self._wish: RouterUpgrade | None = None
        self._hand_at = -math.inf

    def received(self, message: RouterUpgrade) -> None:
        """A wish; the same one comes again at each connection."""
        before = None if self._wish is None else (self._wish.revision, self._wish.version)
        if before != (message.revision, message.version):
            self._hand_at = -math.inf
        self._wish = message
        if self._directory is None:
            if _plain(message.version) == __version__:
                self.becomes(message.revision, "applied")
            else:
                self.becomes(message.revision, "refused", NO_HELPER)
            self._wish = None
        elif VERSION.fullmatch(message.version) is None:
            self.becomes(message.revision, "refused", "it is no version of a package")
            self._wish = None

    def withdrawn(self) -> None:
        """What the helper has begun it ends; what became of it stays reported."""
        self._wish = None

    def step(self, now: float) -> float:
        """Report what the helper does, and hand it what it has not heard of."""
        wish = self._wish
        if wish is None:
            return math.inf
        found = self._progress()
        if found is not None and _is_of(found, wish):
            self.becomes(wish.revision, found.state, found.reason)
            return now + LOOK_S if found.state == "trying" else math.inf
        if now >= self._hand_at:
            self._hand_at = now + AGAIN_S
            self._hand(wish)
        return now + LOOK_S

    def report(self, running: Running) -> Running:
        """What became of the newest version."""
        return running if self.outcome is None else replace(running, upgrade=self.outcome)

    def _hand(self, wish: RouterUpgrade) -> None:
        assert self._directory is not None
        path = os.path.join(self._directory, "wish")
        try:
            # Without a reader it fails at once; a pipe takes a line as short as this whole.
            pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.write(pipe, f"{wish.revision} {wish.version}\n".encode())
            finally:
                os.close(pipe)
        except OSError as error:
            log.warning("upgrade not handed over version=%s reason=%s", wish.version, error)
            self.becomes(wish.revision, "refused", NOT_THERE)
            return
        log.info("upgrade handed over version=%s revision=%d", wish.version, wish.revision)
        self.becomes(wish.revision, "trying")

    def _progress(self) -> UpgradeOutcome | None:
        assert self._directory is not None
        try:
            with open(shared_files.open_found(os.path.join(self._directory, "status"))) as file:
                words = file.read(MAX_SMALL_FILE).rstrip("\n").split(" ", 3)
            revision, state, version = int(words[0]), words[1], words[2]
        except (OSError, ValueError, IndexError):
            return None
        if state not in get_args(State):
            return None
        reason = words[3] if len(words) > 3 and words[3] else None
        return UpgradeOutcome(revision, cast(State, state), version, reason)


def _is_of(found: UpgradeOutcome, wish: RouterUpgrade) -> bool:
    """A version that came back is not tried again before the revision rises.

    A city whose store was restored may mean another version by the same revision.
    """
    if _whole(found.version) != _whole(wish.version):
        return False
    if found.state == "rolled-back":
        return found.revision >= wish.revision
    return found.revision == wish.revision


def _whole(version: str) -> str:
    """As the helper has it: the package's first release goes without saying."""
    return version if RELEASE.search(version) else f"{version}-r1"


def _plain(version: str) -> str:
    """As the agent says its own, without the release of the package."""
    return version.partition("-r")[0]
