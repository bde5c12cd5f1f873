"""From a centre frequency in MHz to band and channel, for the sections `bss` and `radios`."""

from typing import Literal

Band = Literal["2g", "5g", "6g", "60g"]


def band(mhz: int) -> Band | None:
    """The band of a primary channel; None if no Wi-Fi is there."""
    if 2400 <= mhz <= 2500:
        return "2g"
    if 4900 <= mhz < 5925:
        return "5g"
    if 5925 <= mhz <= 7125:
        return "6g"
    if 57000 <= mhz <= 71000:
        return "60g"
    return None


def channel(mhz: int) -> int | None:
    """The number of a primary channel; None if no Wi-Fi is there."""
    found = band(mhz)
    if found == "2g":
        number = 14 if mhz == 2484 else (mhz - 2407) // 5
    elif found == "5g":
        # Japan's 4.9 GHz channels are counted from 4 GHz.
        number = (mhz - (4000 if mhz < 5000 else 5000)) // 5
    elif found == "6g":
        number = 2 if mhz == 5935 else (mhz - 5950) // 5
    elif found == "60g":
        number = (mhz - 56160) // 2160
    else:
        return None
    return number if 1 <= number <= 253 else None
