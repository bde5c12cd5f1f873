"""The job that reports `now` and presence where they changed.

Rule: what changed is remembered until it was reported, so a store that fails loses none of it.
Rule: `everything` is for a start, a new connection, and a registry or a time that changed.
Rule: a router that cannot be heard is unknown and has no figures.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from titik_collector.live.now import LiveState
from titik_collector.live.presence import Presence
from titik_collector.outputs.output import Output, PresenceChange
from titik_wire.city_messages import Now


@dataclass(eq=False)
class NowPublishing:
    """Knows the routers whose `now` must be published."""

    _live: LiveState
    _presence: Presence
    _outputs: Output
    _now_ms: Callable[[], int]
    _stale: set[int] = field(default_factory=set)
    _moved: set[int] = field(default_factory=set)  # whose presence is another
    _everything: bool = True

    def changed(self, router_id: int) -> None:
        """A sample of it was stored."""
        self._stale.add(router_id)

    def everything(self) -> None:
        """Report all of it, and of sites that no longer have a router."""
        self._everything = True

    def hears(self) -> None:
        """The collector hears again, so presence is what the store says."""
        self._live.hears = self._everything = True

    def deaf(self) -> None:
        """No router can be heard; reported at once, and without the store, which may be failing."""
        if self._live.hears or self._everything:
            self._live.hears = False
            self._report(self._live.everything(self._now_ms()), self._live.router_ids())
            self._everything = False

    def due(self, _now: float) -> bool:
        """Whether anything changed."""
        self._moved |= self._presence.take_changed()
        return bool(self._stale or self._moved or self._everything)

    def step(self, _budget_s: float) -> bool:
        """Report what changed; what cannot be read now stays for the next step."""
        now_ms = self._now_ms()
        live, stale, moved = self._live, self._stale | self._moved, self._moved
        nows = live.everything(now_ms) if self._everything else live.messages(stale, now_ms)
        self._report(nows, live.router_ids() if self._everything else moved)
        self._stale, self._moved, self._everything = set(), set(), False
        return False

    def _report(self, nows: Sequence[Now], moved: Iterable[int]) -> None:
        changes = [one for one in map(self._change, sorted(moved)) if one is not None]
        self._outputs.presence_changed(changes)
        self._outputs.now_changed(nows)

    def _change(self, router_id: int) -> PresenceChange | None:
        place = self._live.place_of(router_id)
        if place is None:
            return None
        if not self._live.hears:
            return PresenceChange(*place, "unknown", self._now_ms())
        known = self._presence.state(router_id)
        return PresenceChange(*place, known.state, known.since_ms)
