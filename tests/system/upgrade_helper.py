"""Root's helper of a simulated router: it hears a version, and goes back where no ack comes.

Rule: it installs nothing. It names the version that the agent is to be started with.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from titik_collector.simulation.fleet import Node


class UpgradeHelper:
    """Its folder is the agent's end too, which is the agent's own code."""

    def __init__(self, folder: Path, tried_s: Callable[[str], float]) -> None:
        """`tried_s`: for an ack of a version."""
        self._folder, self._tried_s = folder, tried_s
        folder.mkdir()
        os.mkfifo(folder / "wish")
        self._pipe = os.open(folder / "wish", os.O_RDONLY | os.O_NONBLOCK)
        self._tries: tuple[str, str, str] | None = None  # revision, version, and the one before
        self._until = 0.0

    def look(self, node: Node) -> str | None:
        """The version that this agent is to be started with now."""
        now = time.monotonic()
        if self._tries is not None:
            revision, version, before = self._tries
            if node.publisher.unacked.acked.get(node.run) is not None:
                self._tries = None
                self._report(revision, "applied", version)
            elif now >= self._until:
                self._tries = None
                self._report(revision, "rolled-back", version, "no ack in time")
                return before
            return None
        try:
            heard = os.read(self._pipe, 4096).decode().splitlines()
        except BlockingIOError:  # the agent is about to write
            return None
        if not heard:
            return None
        revision, version = heard[-1].split()
        self._tries, self._until = (revision, version, node.version), now + self._tried_s(version)
        self._report(revision, "trying", version)
        return version

    def close(self) -> None:
        """The router is switched off."""
        os.close(self._pipe)

    def _report(self, revision: str, state: str, version: str, reason: str = "") -> None:
        new = self._folder / "status.new"
        new.write_text(f"{revision} {state} {version} {reason}\n")
        new.replace(self._folder / "status")
