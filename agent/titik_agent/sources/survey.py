"""The radios behind the BSSes: their channel and how busy its air is.

Rule: read after `hostapd`, whose answers are used, so that hostapd is not asked twice.
"""

import re
from typing import Protocol

from titik_agent import frequency
from titik_agent.sources import SourceError
from titik_agent.sources.hostapd_replies import BssStatus
from titik_wire.messages import Radio

MAX_NAME = 64


class Statuses(Protocol):
    """The source that asks hostapd."""

    def statuses(self) -> tuple[BssStatus, ...] | None:
        """One per BSS; None if the last read failed."""
        ...


class Survey:
    """The section `radios`; None where hostapd is not on ubus, whose control socket lacks it."""

    name = "survey"
    field = "radios"

    def __init__(self, hostapd: Statuses | None) -> None:
        self._hostapd = hostapd

    def read(self) -> tuple[Radio, ...] | None:
        if self._hostapd is None:
            return None
        statuses = self._hostapd.statuses()
        if statuses is None:
            raise SourceError("hostapd could not be asked")
        return radios(statuses)


def radios(statuses: tuple[BssStatus, ...]) -> tuple[Radio, ...]:
    """One of each name; the BSSes of a radio agree, so the first that knows is taken."""
    found: dict[str, Radio] = {}
    for status in statuses:
        if status.freq_mhz is None:
            continue
        name = radio_name(status)
        if name not in found or found[name].airtime_active_ms is None:
            found[name] = Radio(
                name=name,
                channel=status.channel or frequency.channel(status.freq_mhz),
                airtime_busy_ms=status.airtime_busy_ms,
                airtime_active_ms=status.airtime_active_ms,
            )
    return tuple(found.values())


def radio_name(status: BssStatus) -> str:
    """`phy0` of `phy0-ap1`; `phy0.1` of `phy0.1-ap0`, where one PHY has several radios."""
    prefix = status.ifname.partition("-")[0]
    if re.fullmatch(r"phy\d+\.\d+", prefix):
        return prefix
    return (status.phy or prefix)[:MAX_NAME]
