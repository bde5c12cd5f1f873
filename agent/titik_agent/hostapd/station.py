"""What hostapd reports of one station, the same over ubus and over its control interface."""

from collections.abc import Iterable
from typing import NamedTuple


class Station(NamedTuple):
    """What hostapd says of one station at this instant; None is what the driver did not say."""

    mac: str
    authorized: bool
    signal_dbm: int | None
    # What the client sent, in packets or bytes, cumulative: only that it changes matters. None or 0
    # is a driver that does not count, for nobody is authorized without a word.
    received: int | None
    inactive_ms: int | None  # since its last packet, where the driver says it
    aliases: tuple[str, ...] = ()  # its other addresses, one for each link (MLO)


def one_each(stations: Iterable[Station]) -> list[Station]:
    """Each client once, though two links of a BSS list it, or one reply does so twice."""
    listed = list(stations)
    if len({one.mac for one in listed}) == len(listed) and not any(one.aliases for one in listed):
        return listed
    found: list[Station] = []
    places: dict[str, int] = {}
    for station in listed:
        addresses = (station.mac, *station.aliases)
        place = next((places[one] for one in addresses if one in places), len(found))
        if place == len(found):
            found.append(station)
        else:
            found[place] = _joined(found[place], station)
        places.update(dict.fromkeys(addresses, place))
    return found


def _joined(one: Station, other: Station) -> Station:
    signals = [each.signal_dbm for each in (one, other) if each.signal_dbm is not None]
    idle = [each.inactive_ms for each in (one, other) if each.inactive_ms is not None]
    received = [each.received for each in (one, other) if each.received is not None]
    return Station(
        one.mac,
        one.authorized or other.authorized,
        max(signals, default=None),
        sum(received) if received else None,
        min(idle, default=None),
        one.aliases + other.aliases,
    )
