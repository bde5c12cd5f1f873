"""What the collector knows of its own machine: broker, store, disk, certificates, backups, line.

Rule: what is slow to find out is looked at rarely, and what may take long in a thread of its own.
Rule: what cannot be read is not known. That is logged once, with the remedy.
"""

import logging
import os
import shlex
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from titik_collector.alerts.facts import LiveServer
from titik_collector.backups import seen
from titik_collector.backups.seen import SeenBackup
from titik_collector.config.alert_tables import Outside
from titik_collector.live.outside_line import OutsideLine
from titik_collector.store import rollout_rows, settings, unknown_routers
from titik_collector.store.database import Database, SecondServer
from titik_collector.store.rollout_rows import RolloutRow
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

log = logging.getLogger(__name__)

DISK_MS, BACKUP_MS, UNKNOWN_MS, CERTIFICATE_MS = 30_000, 5 * MINUTE_MS, MINUTE_MS, 6 * HOUR_MS
SECOND_MS = MINUTE_MS
SETTLED_MS = MINUTE_MS  # connected so long, no other collector takes the broker over


class DiskRoom(NamedTuple):
    """What is free of it, for whoever is not root."""

    free_ratio: float
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSettings:
    """What of the machine is looked at, by the configuration."""

    folder: Path  # on the disk that has to have room
    backups: Path | None  # where they are; None: that is not watched
    outside: Sequence[Outside]  # what the line is tested with


@dataclass(eq=False)
class ServerFacts:
    """Asked every few seconds; remembers what it looked at."""

    _collector: str  # its id
    _db: Database
    _connected: Callable[[], bool]
    _storing: Callable[[], bool]
    _certificate_days: Callable[[int], int | None]  # may take long
    _watched: MachineSettings
    _started_ms: int
    _was_connected: bool = False
    _connection_ms: int = 0  # since when it is connected, or is not
    _store_failed_ms: int | None = None
    _taken_over: bool = False
    _due: dict[str, int] = field(default_factory=dict)
    _disk: DiskRoom | None = None
    _backups: SeenBackup | None = None  # None: they cannot be read, or are not yet
    _collected_ms: int | None = None
    _unknown: int | None = None
    _second: SecondServer | None = None
    _days: int | None = None
    _halted: RolloutRow | None = None  # an upgrade that halted by itself
    _asking: threading.Thread | None = None
    _searching: threading.Thread | None = None
    _complaint: str | None = None

    def __post_init__(self) -> None:
        self._connection_ms = self._started_ms
        self._line = OutsideLine(self._watched.outside)

    def watch(self, watched: MachineSettings) -> None:
        """The configuration was edited."""
        if watched.backups != self._watched.backups:
            self._backups = self._searching = None  # the old folder may never answer
        self._watched = watched
        self._line.change(watched.outside)
        self._due.clear()

    def connected(self, now_ms: int) -> None:
        """The broker has us."""
        self._was_connected, self._connection_ms = True, now_ms

    def lost(self, now_ms: int, taken_over: bool) -> None:
        """The connection is gone, perhaps because another collector took it over."""
        if self._was_connected:
            self._was_connected, self._connection_ms = False, now_ms
        self._taken_over |= taken_over

    def close(self) -> None:
        """Let go of what was begun."""
        self._line.close()

    def look(self, now_ms: int) -> LiveServer:
        """What is so now."""
        connected, storing = self._connected(), self._storing()
        if connected and now_ms - self._connection_ms >= SETTLED_MS:
            self._taken_over = False
        if storing:
            self._store_failed_ms = None
        elif self._store_failed_ms is None:
            self._store_failed_ms = now_ms
        self._look_around(now_ms)
        since_ms, backups = self._connection_ms, self._backups or seen.NOTHING
        return LiveServer(
            collector=self._collector,
            connected=connected,
            connected_since_ms=since_ms if connected else None,
            disconnected_since_ms=None if connected else since_ms,
            storing=storing,
            store_failed_ms=self._store_failed_ms,
            disk_free_ratio=None if self._disk is None else self._disk.free_ratio,
            disk_free_bytes=None if self._disk is None else self._disk.free_bytes,
            certificate_days=self._days,
            backup_ms=backups.newest_ms,
            backup_wanted=self._are_backups_wanted(),
            verified_ms=backups.verified_ms,
            verified_well=backups.verified_well,
            collected_ms=self._collected_ms,
            unknown_routers=self._unknown,
            line_down_since_ms=self._line.look(now_ms),
            is_line_tested=bool(self._watched.outside),
            is_store_alone=alone(self._second),
            upgrade_halted_ms=None if self._halted is None else self._halted.state_ms,
            upgrade_failed=None if self._halted is None else self._halted.failed,
            is_copy=self._taken_over,
        )

    def _are_backups_wanted(self) -> bool | None:
        if self._watched.backups is None:
            return False
        return None if self._backups is None else True

    def _look_around(self, now_ms: int) -> None:
        if self._is_due("disk", now_ms, DISK_MS):
            self._disk = disk(self._watched.folder)
        if self._is_due("backup", now_ms, BACKUP_MS):
            self._look_for_backups()
            self._collected_ms = settings.number(self._db, "collected_ms")
        if self._is_due("unknown", now_ms, UNKNOWN_MS):
            self._halted = rollout_rows.halted(self._db)
            self._unknown = len(unknown_routers.heard_since(self._db, now_ms - DAY_MS))
        if self._is_due("second", now_ms, SECOND_MS):
            self._second = self._db.second_server()
        if self._is_due("certificate", now_ms, CERTIFICATE_MS):
            self._ask_for_certificates(now_ms)

    def _is_due(self, what: str, now_ms: int, every_ms: int) -> bool:
        if now_ms < self._due.get(what, now_ms) <= now_ms + every_ms:
            return False
        self._due[what] = now_ms + every_ms
        return True

    def _look_for_backups(self) -> None:
        """Their folder may be on another machine, which may not answer."""
        folder = self._watched.backups
        if folder is not None and (self._searching is None or not self._searching.is_alive()):
            self._searching = threading.Thread(target=self._search, args=(folder,), daemon=True)
            self._searching.start()

    def _search(self, folder: Path) -> None:
        found = complaint = None
        try:
            found = seen.look(folder)
        except OSError as error:
            complaint = f"{folder}: {error.strerror}"
        if folder != self._watched.backups:
            return
        self._backups = found
        if complaint is not None and complaint != self._complaint:
            log.warning(
                "backups cannot be looked at, so none is called old reason=%s remedy=%s",
                complaint,
                f"as root: chmod 755 {shlex.quote(str(folder))}",
            )
        self._complaint = complaint

    def _ask_for_certificates(self, now_ms: int) -> None:
        """A city has thousands of them."""
        if self._asking is None or not self._asking.is_alive():
            self._asking = threading.Thread(target=self._ask, args=(now_ms,), daemon=True)
            self._asking.start()

    def _ask(self, now_ms: int) -> None:
        self._days = self._certificate_days(now_ms)


def alone(second: SecondServer | None) -> bool | None:
    """Whether one server has the store, where two should; None: it cannot be known."""
    return None if second is None else second in ("missing", "awaited")


def disk(folder: Path) -> DiskRoom | None:
    """None: it cannot be asked."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    if not found.f_blocks:
        return None
    used = found.f_blocks - found.f_bfree
    return DiskRoom(found.f_bavail / max(1, used + found.f_bavail), found.f_bavail * found.f_frsize)
