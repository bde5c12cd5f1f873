"""Client counts added up over time, so that the mean over any window is exact; pure.

Rule: a count holds from its reading to the next one. A reading that failed ends what is known:
the time up to the next good one is neither counted nor called observed.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from titik_agent.limits import MAX_SUMMED
from titik_wire.messages import Bss


class ClientTime(NamedTuple):
    """What a meter says at one reading; the first two since the reading before it."""

    least: int
    most: int
    client_ms: int  # cumulative
    observed_ms: int  # cumulative


class ClientMeter:
    """Integrates one count."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._at_ms = 0
        self._client_ms = 0
        self._observed_ms = 0

    def observe(self, at_ms: int, count: int | None) -> ClientTime | None:
        """Take a reading at `at_ms` of the boot's clock; None when the count is unknown."""
        last, self._last = self._last, count
        elapsed, self._at_ms = at_ms - self._at_ms, at_ms
        if count is None:
            return None
        if last is None:
            return ClientTime(count, count, self._client_ms, self._observed_ms)
        self._client_ms += last * elapsed
        self._observed_ms += elapsed
        return ClientTime(min(last, count), max(last, count), self._client_ms, self._observed_ms)


class Meters:
    """One meter for each BSS and one for all of them."""

    def __init__(self) -> None:
        self._total = ClientMeter()
        self._bss: dict[str, ClientMeter] = {}

    def observe(
        self, at_ms: int, bss: tuple[Bss, ...] | None
    ) -> tuple[ClientTime | None, tuple[Bss, ...] | None]:
        """The reading of the total, and the BSSes with their own filled in."""
        seen = {one.ifname for one in bss or ()}
        for ifname in [name for name in self._bss if name not in seen]:
            self._bss[ifname].observe(at_ms, None)
            if len(self._bss) > MAX_SUMMED:
                del self._bss[ifname]
        filled = None if bss is None else tuple([self._fill(at_ms, one) for one in bss])
        return self._total.observe(at_ms, on_air(bss, lambda one: one.clients)), filled

    def _fill(self, at_ms: int, bss: Bss) -> Bss:
        reading = self._bss.setdefault(bss.ifname, ClientMeter()).observe(at_ms, bss.clients)
        if reading is None:
            return bss
        return replace(
            bss,
            clients_min=reading.least,
            clients_max=reading.most,
            client_ms=reading.client_ms,
        )


def on_air(bss: tuple[Bss, ...] | None, count: Callable[[Bss], int | None]) -> int | None:
    """The sum over the BSSes that transmit; None if none does, or if any count is unknown.

    A partial sum would be a smaller number, and there are no clients where Wi-Fi is off.
    """
    counts = [count(one) for one in bss or () if not one.off_air]
    known = [one for one in counts if one is not None]
    return sum(known) if counts and len(known) == len(counts) else None
