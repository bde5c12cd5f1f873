"""The job that takes in an edited configuration without a restart."""

from collections.abc import Callable

from titik_collector.config.model import Config
from titik_collector.registry.registry import Registry
from titik_collector.registry.sync import Changes, sync
from titik_collector.registry.watch import ConfigWatch
from titik_collector.store.database import Database


class Reload:
    """Brings the store and the registry to what the file says."""

    def __init__(
        self,
        db: Database,
        watch: ConfigWatch,
        known: Registry,
        changed: Callable[[Config, Changes], object],
        now_ms: Callable[[], int],
    ) -> None:
        """`changed` is called when store and registry have the edit."""
        self._db = db
        self._watch = watch
        self._known = known
        self._changed = changed
        self._now_ms = now_ms
        self._config: Config | None = None  # was read, and is not taken in yet
        self._changes = Changes()  # that the store has of it

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
