"""The radios behind the BSSes: their channel and how busy its air is.

Rule: read after `hostapd`, whose answers are used, so that hostapd is not asked twice.
Rule: a radio is named after its PHY; where one PHY has radios of several bands, after both. It
keeps such a name while another band is off the air, or its counters would seem to restart.
"""

import re

from titik_agent.hostapd import frequency
from titik_agent.hostapd.bss_status import BssStatus
from titik_agent.hostapd.ubus_replies import has_links
from titik_agent.limits import MAX_PHY_NAME, MAX_PHYS
from titik_agent.sampling.source import SourceError
from titik_agent.sources.hostapd_ubus import HostapdUbus
from titik_wire.messages import Radio


class Survey:
    """The section `radios`; hostapd's control interface has no such figures."""

    name = "survey"
    field = "radios"

    def __init__(self, hostapd: HostapdUbus) -> None:
        self._hostapd = hostapd
        self._bands: dict[str, set[str]] = {}  # seen of each PHY

    def read(self) -> tuple[Radio, ...]:
        statuses = self._hostapd.statuses()
        if statuses is None:
            raise SourceError("hostapd could not be asked")
        return self._radios([one for one in statuses if not has_links(one)])

    def _radios(self, statuses: list[BssStatus]) -> tuple[Radio, ...]:
        """One of each name; the BSSes of a radio agree, so the first that knows is taken.

        An access point of several links (MLO) says the airtime of the first, which is a radio that
        other BSSes have too.
        """
        if len(self._bands) > MAX_PHYS:
            self._bands.clear()
        for status in statuses:
            self._bands.setdefault(phy_name(status), set()).add(frequency.band(mhz(status)) or "")
        found: dict[str, Radio] = {}
        for status in statuses:
            name = self._name(status)
            if status.freq_mhz is None or name is None:
                continue
            if name not in found or found[name].airtime_active_ms is None:
                found[name] = Radio(
                    name=name,
                    channel=status.channel or frequency.channel(status.freq_mhz),
                    airtime_busy_ms=status.airtime_busy_ms,
                    airtime_active_ms=status.airtime_active_ms,
                )
        return tuple(found.values())

    def _name(self, status: BssStatus) -> str | None:
        """None: off the air, and one of several that its PHY has."""
        name, band = phy_name(status), frequency.band(mhz(status))
        if len(self._bands[name] - {""}) < 2:
            return name
        return f"{name}-{band}" if band else None


def phy_name(status: BssStatus) -> str:
    """`phy0` of `phy0-ap1`; `phy0.1` of `phy0.1-ap0`, where netifd names the radios of a PHY."""
    prefix = status.ifname.partition("-")[0]
    if re.fullmatch(r"phy\d+\.\d+", prefix):
        return prefix
    return (status.phy or prefix)[:MAX_PHY_NAME]


def mhz(status: BssStatus) -> int:
    """0: no channel."""
    return status.freq_mhz or 0
