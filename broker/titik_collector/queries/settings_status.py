"""What the city wishes each router to run with, what became of it, and what is in force.

Rule: a router that never reported what it made of wishes, though it is online, does not offer them.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from titik_collector.config.settings_tables import KEYS
from titik_collector.store import wishes
from titik_collector.store.database import Database
from titik_collector.store.wishes import RouterRunning, Wish
from titik_wire.fleet_messages import InForce, RouterSettings
from titik_wire.instant import MINUTE_MS

NONE = "none"  # an empty list
# An agent reports at once; one that was just started waits for its next connection.
ANSWERS_MS = 2 * MINUTE_MS

SettingsState = Literal["waiting", "not offered", "applied", "trying", "refused", "rolled-back"]
STATES: tuple[SettingsState, ...] = (
    *("applied", "trying", "waiting", "refused"),
    *("rolled-back", "not offered"),
)


class SettingsStatus(NamedTuple):
    """Of one router."""

    wish: RouterSettings | None  # None: nothing is wished
    since_ms: int | None  # of the wish
    state: SettingsState | None  # None: nothing is wished
    reason: str | None  # why it was refused or rolled back
    in_force: InForce | None  # as far as it reported it


def shown(message: RouterSettings | InForce) -> str:
    """As `titik router set` takes them: `interval_s=60 reach_targets=none`."""
    return " ".join(f"{key}={_text(one)}" for key, one in by_key(message).items())


def by_key(message: RouterSettings | InForce) -> dict[str, object]:
    """What it gives of the keys of `[[settings]]`."""
    values = {key: getattr(message, key) for key in KEYS}
    return {key: one for key, one in values.items() if one is not None}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value) or NONE
    return str(value)


class SettingsOutcomes:
    """What is read once for all routers."""

    def __init__(self, db: Database) -> None:
        self._wishes: Mapping[str, Wish] = {
            one.router: one for one in wishes.all_of(db, "settings")
        }
        reports = wishes.all_running(db) if self._wishes else []
        self._running: Mapping[str, RouterRunning] = {one.router: one for one in reports}
        self.is_offered = wishes.are_offered(db)

    def of(self, router: str, is_online: bool, now_ms: int) -> SettingsStatus | None:
        """None: nothing was ever wished of it."""
        wish, found = self._wishes.get(router), self._running.get(router)
        if wish is None:
            return None
        running = None if found is None else found.running
        in_force = None if running is None else running.in_force
        message = wish.message
        if not isinstance(message, RouterSettings):
            return SettingsStatus(None, None, None, None, in_force)
        outcome = None if running is None else running.settings
        if outcome is not None and outcome.revision == message.revision:
            return SettingsStatus(message, wish.since_ms, outcome.state, outcome.reason, in_force)
        waits = not is_online or now_ms - wish.since_ms < ANSWERS_MS
        is_old = not self.is_offered or (running is None and not waits)
        state: SettingsState = "not offered" if is_old else "waiting"
        return SettingsStatus(message, wish.since_ms, state, None, in_force)
