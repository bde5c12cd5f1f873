"""`titik fleet` as text: the upgrade that goes on, wave by wave, and who has not come through.

Rule: pure. What failed comes first, with its reason.
"""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from titik_collector.limits import MAX_PROBLEMS
from titik_collector.queries.rollout_status import RolloutRouter, RolloutStatus, WaveStatus
from titik_collector.wishes.waves import Bounds, LaterWave
from titik_collector.wording import when
from titik_wire.instant import MINUTE_MS

WORDS = {
    "runs": "goes on",
    "paused": "is paused; titik fleet resume",
    "halted": "halted by itself; see why below",
    "stopped": "was stopped",
    "over": "is over, but for routers that are away",
}
FATES = {
    "asked": "asked, no answer yet",
    "away": "away",
    "waiting": "not asked yet",
    "refused": "refused",
    "rolled-back": "rolled back",
    "silent": "not heard since it was asked",
    "restarts": "restarts again and again",
    "unanswered": "does not take it: its agent may be too old",
}

AFTER_HALT = (
    "  titik fleet resume: go on; what failed until now is accepted",
    "  titik fleet stop: end it; routers that run the version keep it",
)
MINUTES = f"{Bounds().settle_ms // MINUTE_MS} minutes"
ASKING = ("runs", "over")  # else nobody is asked, also who comes back


def lines(found: RolloutStatus | None, zone: ZoneInfo) -> Iterator[str]:
    """Everything."""
    if found is None:
        yield "no upgrade was ordered; begin one: titik fleet upgrade VERSION"
        return
    row = found.row
    state = WORDS[row.state]
    if row.state == "over" and not any(one.away for one in found.waves):
        state = "is over"
    yield f"upgrade to {row.version} {state}"
    ordered_at, since = when.show(row.at_ms, zone), when.show(row.state_ms, zone)
    yield f"ordered {ordered_at}, in this state since {since}"
    if row.state == "halted":
        yield from AFTER_HALT
    for one in found.waves:
        yield _wave(one)
    if found.next is not None:
        yield f"  the next wave {_next(found.next, zone)}"
    for router in found.unfinished[:MAX_PROBLEMS]:
        yield _router(router, zone, row.state in ASKING)
    if len(found.unfinished) > MAX_PROBLEMS:
        yield f"  and {len(found.unfinished) - MAX_PROBLEMS} more: titik fleet --json"


def _wave(one: WaveStatus) -> str:
    name = "canaries" if one.wave == 0 else f"wave {one.wave}"
    parts = [
        f"{number} {word}"
        for number, word in (
            (one.open, "asked"),
            (one.failed, "failed"),
            (one.away, "away"),
            (one.waiting, "not asked yet"),
        )
        if number
    ]
    return f"  {name:9} {one.upgraded:>5} of {one.routers} run it" + "".join(
        f", {part}" for part in parts
    )


def _next(one: LaterWave, zone: ZoneInfo) -> str:
    if one.from_ms is not None:
        return (
            f"may begin {when.show(one.from_ms, zone)}, {MINUTES} after the last router of this one"
        )
    if one.waits == "one":
        return "waits until a router runs the version"
    return f"begins {MINUTES} after the last router of this one"


def _router(one: RolloutRouter, zone: ZoneInfo, is_asked_later: bool) -> str:
    what = FATES[one.what] + (f" ({one.reason})" if one.reason else "")
    if one.what == "away" and is_asked_later:
        what += "; it is asked once it is online"
    runs = "" if one.version is None else f", runs {one.version}"
    since = "" if one.since_ms is None else f", since {when.show(one.since_ms, zone)}"
    return f"  {one.name}: {what}{runs}{since}"
