"""When the server itself was at fault, so that what routers did is not known, and when it is again.

Rule: while the server is at fault, its own alert is the only one.
Rule: after that, routers have time to come back: until 95 % of them are, for 12 minutes at most.
Rule: for who is not back then, `for` counts from the end of the fault, and they are no group.
Rule: a server that goes again and again gives routers those 12 minutes once, in all. Who then was
missing for 25 minutes in which it was there, and before it last went, is away by itself.
"""

from titik_collector.alerts.book import FaultTime, ServerFault
from titik_collector.alerts.facts import LiveFacts, LiveRouter
from titik_wire.instant import MINUTE_MS
from titik_wire.limits import MAX_MS

HOLD_OFF_MS = 12 * MINUTE_MS  # three windows of 270 s in which routers try, and refusals between
ENOUGH_BACK = 0.95
BEFORE_MS = 3 * MINUTE_MS  # what went so shortly before may have gone for the same reason
AFTER_MS = MINUTE_MS  # what the collector notices by and by
# Of a server that is there, between its faults. A router tries at a random moment of each 150 s.
# By chance one of 20,000 misses it for so long at worst, and of 200,000 if it is there for a third.
AWAY_MS = 25 * MINUTE_MS
APART_MS = MINUTE_MS  # of a server that is there: nearer faults are remembered as one
LONGEST_LOOK_MS = 3 * MINUTE_MS  # between two looks; of a longer time nothing is known


def next_fault(
    fault: ServerFault | None, looked_ms: int | None, live: LiveFacts
) -> ServerFault | None:
    """The fault that counts now: one that goes on, or one that ended lately."""
    begun_ms = _begun_ms(live, looked_ms)
    if begun_ms is not None:
        return _begin(fault, begun_ms)
    if fault is not None and fault.until_ms is None:
        return fault._replace(until_ms=live.at_ms)
    is_over = fault is None or live.at_ms - (fault.until_ms or 0) >= HOLD_OFF_MS
    last = None if is_over else fault
    if looked_ms is not None and _missed_something(looked_ms, live):
        missed = _begin(last, looked_ms)
        return missed._replace(until_ms=live.at_ms, times=1 if last is None else last.times)
    return last


def excuses(fault: ServerFault | None, live: LiveFacts) -> bool:
    """Whether what routers and sites seem to do may be the server's fault."""
    if fault is None:
        return False
    if fault.until_ms is None:
        return True
    waiting = sum(_is_awaited(one, fault) for one in live.routers)
    online = sum(one.state == "online" and not one.in_doubt for one in live.routers)
    return online < ENOUGH_BACK * (online + waiting)


def is_unstable(fault: ServerFault | None, at_ms: int) -> bool:
    """Whether it is there, but went so often that routers had their time to come back before."""
    if fault is None or fault.until_ms is None:
        return False
    return _there_ms(fault, at_ms) >= HOLD_OFF_MS


def is_away_by_itself(fault: ServerFault | None, from_ms: int | None, at_ms: int) -> bool:
    """Whether what began then is no fault of a server that goes again and again."""
    if fault is None or fault.newest_ms is None or from_ms is None:
        return False
    is_of_newest = from_ms >= fault.newest_ms - BEFORE_MS
    if is_of_newest or not is_unstable(fault, at_ms):
        return False
    return _there_ms(fault, at_ms) - _there_before_ms(fault, from_ms) >= AWAY_MS


def is_of(fault: ServerFault | None, from_ms: int | None, at_ms: int) -> bool:
    """Whether what began then began while the server was at fault, or as it was just over."""
    if fault is None or from_ms is None or is_away_by_itself(fault, from_ms, at_ms):
        return False
    until_ms = MAX_MS if fault.until_ms is None else fault.until_ms + AFTER_MS
    return fault.from_ms - BEFORE_MS <= from_ms <= until_ms


def known_from_ms(fault: ServerFault | None, from_ms: int | None, at_ms: int) -> int | None:
    """Since when that is known which began while the server was at fault: since it ended."""
    if fault is None or fault.until_ms is None or from_ms is None:
        return from_ms
    return max(from_ms, fault.until_ms) if is_of(fault, from_ms, at_ms) else from_ms


def _begin(fault: ServerFault | None, begun_ms: int) -> ServerFault:
    """One more, or the same one, which began earlier than was known."""
    if fault is None:
        return ServerFault(begun_ms)
    from_ms = min(begun_ms, fault.from_ms)
    if fault.until_ms is None:
        return fault._replace(from_ms=from_ms)
    there_ms = fault.there_ms + max(0, begun_ms - fault.until_ms)
    lately = _remembered(fault.lately, FaultTime(begun_ms, there_ms))
    return ServerFault(from_ms, None, begun_ms, there_ms, fault.times + 1, lately)


def _remembered(lately: tuple[FaultTime, ...], newest: FaultTime) -> tuple[FaultTime, ...]:
    """With the newest, and without those that nobody's absence is counted from any more."""
    if lately and newest.there_ms - lately[-1].there_ms < APART_MS:
        return lately
    some = (*lately, newest)
    old = sum(newest.there_ms - one.there_ms >= AWAY_MS for one in some)
    return some[max(0, old - 1) :]


def _there_ms(fault: ServerFault, at_ms: int) -> int:
    """For how long the server was there since the first of its faults began."""
    return fault.there_ms + (0 if fault.until_ms is None else at_ms - fault.until_ms)


def _there_before_ms(fault: ServerFault, from_ms: int) -> int:
    """For how long it was by then, at most: never more than time went since a fault began."""
    newest = FaultTime(fault.newest_ms or fault.from_ms, fault.there_ms)
    known = (FaultTime(fault.from_ms, 0), *fault.lately, newest)
    return min(one.there_ms + max(0, from_ms - one.from_ms) for one in known)


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
