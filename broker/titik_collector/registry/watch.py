"""Whether the configuration was edited."""

import logging
import os
from pathlib import Path

from titik_collector.config import model as configuration
from titik_collector.config.model import Config, ConfigError

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
        settled = signature == self._seen
        self._seen = signature
        if not settled or signature == self._taken:
            return None
        self._taken = signature
        try:
            config = configuration.load(self._file)
        except ConfigError as error:
            log.error("configuration not taken, the one before stays error=%s", error)
            return None
        log.info("configuration read again file=%s routers=%d", self._file, len(config.router))
        return config

    def _signature(self) -> Signature:
        try:
            stat = os.stat(self._file)
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
