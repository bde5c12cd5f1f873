"""The job that takes in an edited configuration without a restart."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from titik_collector.config import model as configuration
from titik_collector.config.model import Config, ConfigError
from titik_collector.registry.registry import Registry
from titik_collector.registry.sync import Changes, sync
from titik_collector.store.database import Database

log = logging.getLogger(__name__)

Signature = tuple[int, int, int] | None  # None: no such file


class ConfigWatch:
    """Notices that the file was edited; a broken edit is logged once and changes nothing.

    An edit is taken when two polls in a row saw the same file: an editor that writes in place
    leaves half a file behind for a moment, and half a file would remove routers.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._taken = self._seen = self._signature()

    def poll(self) -> Config | None:
        """The new configuration, once, after an edit that is complete and right."""
        signature = self._signature()
        unchanged = signature == self._seen
        self._seen = signature
        if not unchanged or signature == self._taken:
            return None
        self._taken = signature
        try:
            config = configuration.load(self._file)
        except ConfigError as error:
            log.error("configuration not taken, the one before stays reason=%s", error)
            return None
        log.info("configuration read again file=%s routers=%d", self._file, len(config.router))
        return config

    def _signature(self) -> Signature:
        try:
            stat = os.stat(self._file)
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


@dataclass(eq=False)
class Reload:
    """Brings the store and the registry to what the file says."""

    _db: Database
    _watch: ConfigWatch
    _known: Registry
    _changed: Callable[[Config, Changes], object]  # called when store and registry have the edit
    _now_ms: Callable[[], int]
    _config: Config | None = None  # was read, and is not taken in yet
    _changes: Changes = field(default_factory=Changes)  # that the store has of it

    def due(self, _now: float) -> bool:
        """Always: an edit is noticed by looking."""
        return True

    def step(self, _budget_s: float) -> bool:
        """Look, and take in an edit; the watch reports it once, so a store that fails keeps it."""
        self._config = self._watch.poll() or self._config
        if self._config is None:
            return False
        self._changes += sync(self._db, self._config, self._now_ms())
        self._known.reload()
        config, changes = self._config, self._changes
        self._config, self._changes = None, Changes()
        self._changed(config, changes)
        return False
