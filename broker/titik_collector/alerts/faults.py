"""When the server itself was at fault, so that what routers did is not known, and when it is again.

Rule: while the server is at fault, its own alert is the only one.
Rule: after that, routers have time to come back: until 95 % of them are, for 12 minutes at most.
Rule: for who is not back then, `for` counts from the end of the fault, and they are no group.
"""

from titik_collector.alerts.book import ServerFault
from titik_collector.alerts.facts import LiveFacts, LiveRouter
from titik_wire.instant import MINUTE_MS
from titik_wire.limits import MAX_MS

HOLD_OFF_MS = 12 * MINUTE_MS  # three windows of 270 s in which routers try, and refusals between
ENOUGH_BACK = 0.95
BEFORE_MS = 3 * MINUTE_MS  # what went so shortly before may have gone for the same reason
AFTER_MS = MINUTE_MS  # what the collector notices by and by
LONGEST_LOOK_MS = 3 * MINUTE_MS  # between two looks; of a longer time nothing is known


def next_fault(
    fault: ServerFault | None, looked_ms: int | None, live: LiveFacts
) -> ServerFault | None:
    """The fault that counts now: one that goes on, or one that ended lately."""
    begun_ms = _begun_ms(live, looked_ms)
    if begun_ms is not None:
        return ServerFault(begun_ms if fault is None else min(begun_ms, fault.from_ms))
    if fault is not None and fault.until_ms is None:
        return ServerFault(fault.from_ms, live.at_ms)
    if looked_ms is not None and _missed_something(looked_ms, live):
        return ServerFault(looked_ms, live.at_ms)
    if fault is None or fault.until_ms is None or live.at_ms - fault.until_ms >= HOLD_OFF_MS:
        return None
    return fault


def excuses(fault: ServerFault | None, live: LiveFacts) -> bool:
    """Whether what routers and sites seem to do may be the server's fault."""
    if fault is None:
        return False
    if fault.until_ms is None:
        return True
    waiting = sum(_is_awaited(one, fault) for one in live.routers)
    online = sum(one.state == "online" and not one.in_doubt for one in live.routers)
    return online < ENOUGH_BACK * (online + waiting)


def is_of(fault: ServerFault | None, from_ms: int | None) -> bool:
    """Whether what began then began while the server was at fault, or as it was just over."""
    if fault is None or from_ms is None:
        return False
    until_ms = MAX_MS if fault.until_ms is None else fault.until_ms + AFTER_MS
    return fault.from_ms - BEFORE_MS <= from_ms <= until_ms


def known_from_ms(fault: ServerFault | None, from_ms: int | None) -> int | None:
    """Since when that is known which began while the server was at fault: since it ended."""
    if fault is None or fault.until_ms is None or from_ms is None:
        return from_ms
    return max(from_ms, fault.until_ms) if is_of(fault, from_ms) else from_ms


def _begun_ms(live: LiveFacts, looked_ms: int | None) -> int | None:
    """Since when it is at fault; None: it is not."""
    server = live.server
    begun: list[int | None] = []
    if not server.connected:
        begun.append(server.disconnected_since_ms)
    if not server.storing:
        begun.append(server.store_failed_ms)
    if server.line_down_since_ms is not None:
        begun.append(server.line_down_since_ms)
    if server.is_copy or (not live.hears and not begun):
        begun.append(None)
    if not begun:
        return None
    unsure_ms = live.at_ms if looked_ms is None else looked_ms
    return min(unsure_ms if one is None else one for one in begun)


def _missed_something(looked_ms: int, live: LiveFacts) -> bool:
    """Whether it was away between the last look and this one."""
    connected_ms = live.server.connected_since_ms
    return not 0 <= live.at_ms - looked_ms <= LONGEST_LOOK_MS or (
        connected_ms is not None and connected_ms > looked_ms
    )


def _is_awaited(router: LiveRouter, fault: ServerFault) -> bool:
    """It was online before the fault, and is not yet back."""
    if router.in_doubt:
        return True
    went_ms, until_ms = router.since_ms, fault.until_ms or router.since_ms
    return router.state != "online" and fault.from_ms - BEFORE_MS <= went_ms <= until_ms
