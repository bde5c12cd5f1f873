"""The section `bss`, whichever way hostapd is asked.

Rule: a BSS whose stations could not be read has no count, never a smaller one.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from titik_agent.hostapd import frequency
from titik_agent.hostapd.bss_status import BssStatus
from titik_agent.hostapd.station import Station
from titik_agent.sampling.stations import Tracker
from titik_agent.sources.visitors import Sketch
from titik_wire.messages import Bss

READ_S: Final = 2.0  # for all of a read: one that hangs must not stall sampling


class BssCounters(Protocol):
    """Byte counters of a BSS: its own interface and the AP_VLANs under it."""

    def bss_counters(self, ifname: str) -> tuple[str, int, int] | None:
        """`since`, received and sent bytes; None if they cannot be read."""


class BssSection:
    """What the sources share that ask hostapd."""

    name = "hostapd"
    field = "bss"

    def __init__(
        self,
        interfaces: BssCounters,
        tracker: Tracker,
        sketch: Sketch,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interfaces = interfaces
        self._tracker = tracker
        self._sketch = sketch
        self._monotonic = monotonic
        self._changed = False  # a client joined or left since the last `pump`

    @property
    def saturated(self) -> bool:
        """More clients than are tracked one by one; counts are still right."""
        return self._tracker.saturated

    def _take_changed(self) -> bool:
        changed, self._changed = self._changed, False
        return changed

    def _bss(
        self, status: BssStatus, stations: Sequence[Station] | None, undercounted: bool = False
    ) -> Bss:
        """Stations None: they could not be read."""
        counted = self._interfaces.bss_counters(status.ifname)
        since, rx_bytes, tx_bytes = counted or (None, None, None)
        tally = None
        if stations is not None and not status.off_air:
            tally = self._tracker.tally(status.ifname, stations)
            self._sketch.add(*[each.mac for each in stations if each.authorized])
        freq_mhz = status.freq_mhz or 0
        return Bss(
            ifname=status.ifname,
            ssid=status.ssid,
            band=frequency.band(freq_mhz),
            channel=status.channel or frequency.channel(freq_mhz),
            utilization_ratio=status.utilization_ratio,
            clients=tally.clients if tally else None,
            active=tally.active if tally else None,
            weak=tally.weak if tally else None,
            since=since,
            rx_bytes=rx_bytes,
            tx_bytes=tx_bytes,
            off_air=status.off_air or None,
            undercounted=undercounted or None,
        )
