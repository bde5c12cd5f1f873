"""What hostapd reports of one BSS, the same over ubus and over its control interface."""

import re
from typing import Final, NamedTuple

# In these a radio sends no beacon, so it can have no client: no channel yet, radar, a failed
# start. ENABLED is the one on the air. A word that a later hostapd adds counts as on the air: its
# clients are then reported as usual.
OFF_AIR: Final = frozenset(
    ("UNINITIALIZED", "DISABLED", "COUNTRY_UPDATE", "ACS", "HT_SCAN", "DFS", "NO_IR")
)
# What the contract refuses in text; an SSID is any 32 bytes its owner likes.
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class BssStatus(NamedTuple):
    """None is what this release or driver does not report."""

    ifname: str
    ssid: str | None = None  # over ubus since 22.03
    freq_mhz: int | None = None  # 0: no channel yet; None: no radio, 802.1X on a wire
    channel: int | None = None
    phy: str | None = None
    airtime_active_ms: int | None = None  # cumulative
    airtime_busy_ms: int | None = None  # cumulative
    utilization_ratio: float | None = None
    off_air: bool = False  # it does not transmit
    links: int | None = None  # of an access point of several links (MLO)


def possible_channel(number: int | None) -> int | None:
    """The number, if a channel can have it."""
    return number if number is not None and 1 <= number <= 253 else None


def printable(raw: bytes) -> str:
    """Text; bytes that are no UTF-8 and control characters become U+FFFD."""
    text = raw.decode("utf-8", "replace")
    return text if text.isascii() and text.isprintable() else _UNPRINTABLE.sub("\ufffd", text)


def utilization(used: int | None) -> float | None:
    """hostapd counts the share of time that the channel was busy in 255ths."""
    return None if used is None else round(min(used, 255) / 255, 3)
