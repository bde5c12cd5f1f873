"""Which routers an upgrade reaches next, and whether it must stop: pure, of what is known of each.

Rule: canaries come first. Each kind of router is met early: kinds are models and firmwares, and
sites are spread too.
Rule: a wave begins when each router of those before has the version, failed or is away.
Rule: one that never got through anything stops it: of those asked, few may fail.
Rule: a router that is away, or was never heard, is asked once it is online and its wave has come.
Rule: who failed, and is wished nothing any more, has failed for good.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from math import ceil
from typing import Literal, NamedTuple

from titik_collector.store.rollout_rows import Fate, WaveRouter
from titik_wire.instant import HOUR_MS, MINUTE_MS

CANARIES = 0  # their wave
FAILURES: tuple[Fate, ...] = ("rolled-back", "restarts", "silent", "refused", "unanswered")


class RolloutMember(NamedTuple):
    """A router that is to be upgraded."""

    router_id: int
    site: str
    model: str | None
    firmware: str | None
    is_online: bool


class RouterNow(NamedTuple):
    """What is known of a router."""

    is_online: bool | None  # None: not known
    version: str | None
    is_acked: bool  # samples of the run that has this version are stored
    heard_ms: int
    runs: int = 0  # of its agent, ever
    fate: Fate | None = None  # as it reports of the wish that it has
    reason: str | None = None
    is_wished: bool = True  # nothing becomes of a wish that was withdrawn


class Bounds(NamedTuple):
    """How patient it is."""

    settle_ms: int = 5 * MINUTE_MS  # after the last one of a wave
    quiet_ms: int = 25 * MINUTE_MS  # asked while online, and heard no longer
    answer_ms: int = HOUR_MS  # online, and nothing came of it
    watch_ms: int = HOUR_MS  # its restarts count
    restarts: int = 2  # above those before, besides the one into the version
    failed_share: float = 0.05  # of those that were asked


class WaveStep(NamedTuple):
    """What follows now."""

    rows: tuple[WaveRouter, ...]
    ask: tuple[int, ...] = ()  # routers
    stops: bool = False
    is_over: bool = False  # none is left but those that are away


class LaterWave(NamedTuple):
    """When the wave begins that comes after those of now."""

    waits: Literal["one", "last", "rest"]  # for a router that runs it, for all of this, or a while
    from_ms: int | None = None  # None: it waits for routers


def divided(
    members: Sequence[RolloutMember], canaries: int, percent: int
) -> tuple[WaveRouter, ...]:
    """All of them in waves, in the order in which they are asked."""
    size = max(1, ceil(len(members) * percent / 100))
    return tuple(
        WaveRouter(one.router_id, 0 if number < canaries else 1 + (number - canaries) // size)
        for number, one in enumerate(_spread(members, canaries))
    )


def _spread(members: Sequence[RolloutMember], canaries: int) -> Iterator[RolloutMember]:
    """Kinds take turns, the most frequent first; those that are away come last."""
    for is_online in (True, False):
        kinds: dict[tuple[str | None, str | None], list[RolloutMember]] = {}
        for one in sorted(members):
            if one.is_online == is_online:
                kinds.setdefault((one.model, one.firmware), []).append(one)
        turns = deque(sorted(kinds.values(), key=len, reverse=True))
        met: Counter[str] = Counter()
        while turns:
            kind = turns.popleft()
            # Of many sites the next one is near enough; for canaries it is looked for.
            at = _least_met(kind, met) if canaries > 0 else 0
            one = kind.pop(at)
            met[one.site] += 1
            canaries -= 1
            yield one
            if kind:
                turns.append(kind)


def _least_met(kind: Sequence[RolloutMember], met: Mapping[str, int]) -> int:
    """Which of them stands where the fewest were chosen."""
    sites = [met.get(one.site, 0) for one in kind]
    return sites.index(min(sites))


def judge(
    rows: Sequence[WaveRouter],
    now: Mapping[int, RouterNow],
    version: str,
    now_ms: int,
    accepted: int,
    bounds: Bounds,
) -> WaveStep:
    """What became of each, and who is asked next; `accepted`: failures that somebody went on at."""
    rows = [_judged(one, now[one.router_id], version, now_ms, bounds) for one in rows]
    asked = [one for one in rows if one.asked_ms is not None]
    failed = sum(one.fate in FAILURES for one in asked)
    if failed - accepted > (len(asked) - accepted) * bounds.failed_share:
        return WaveStep(tuple(rows), stops=True)
    away = {router_id for router_id, one in now.items() if one.is_online is False}
    reached = _reached(rows, away, now_ms, bounds.settle_ms)
    waiting = [one for one in rows if one.asked_ms is None and one.fate is None]
    ask = [one.router_id for one in waiting if one.wave <= reached and now[one.router_id].is_online]
    open_now = sum(one.fate is None for one in asked)
    most = max(Counter(one.wave for one in rows if one.wave <= reached).values(), default=0)
    ask = ask[: max(0, most - open_now)]
    is_over = not ask and not open_now and all(one.wave <= reached for one in waiting)
    return WaveStep(tuple(rows), tuple(ask), is_over=is_over)


def next_wave(
    rows: Iterable[WaveRouter], away: Set[int], settle_ms: int = Bounds().settle_ms
) -> LaterWave | None:
    """None: there is none after those that have begun, or it begins now."""
    waves = _waves(rows)
    reached = _begun(waves)
    if reached >= max(waves, default=CANARIES):
        return None
    from_ms = _through_ms(waves.get(reached, ()), away, settle_ms)
    if from_ms is None:
        return LaterWave("last")
    if not _has_shown(waves):
        return LaterWave("one")
    return LaterWave("rest", from_ms) if from_ms else None


def _reached(rows: Sequence[WaveRouter], away: Set[int], now_ms: int, settle_ms: int) -> int:
    """The last wave that has begun, or may begin now."""
    waves = _waves(rows)
    reached, last = _begun(waves), max(waves, default=CANARIES)
    while reached < last and _has_shown(waves):
        from_ms = _through_ms(waves.get(reached, ()), away, settle_ms)
        if from_ms is None or now_ms < from_ms:
            break
        reached += 1
    return reached


def _waves(rows: Iterable[WaveRouter]) -> dict[int, list[WaveRouter]]:
    waves: dict[int, list[WaveRouter]] = {}
    for one in rows:
        waves.setdefault(one.wave, []).append(one)
    return waves


def _begun(waves: Mapping[int, Sequence[WaveRouter]]) -> int:
    """The last wave that anybody was asked in."""
    return max(
        (wave for wave, rows in waves.items() if any(one.asked_ms is not None for one in rows)),
        default=CANARIES,
    )


def _has_shown(waves: Mapping[int, Sequence[WaveRouter]]) -> bool:
    """Whether any router runs it."""
    return any(one.fate == "upgraded" for rows in waves.values() for one in rows)


def _through_ms(wave: Iterable[WaveRouter], away: Set[int], settle_ms: int) -> int | None:
    """From when on the next one may begin; None: a router of this one is awaited."""
    from_ms = 0
    for one in wave:
        if one.fate_ms is not None and one.asked_ms is not None:
            from_ms = max(from_ms, one.fate_ms + settle_ms)
        elif one.fate is None and (one.asked_ms is not None or one.router_id not in away):
            return None
    return from_ms


def _judged(
    one: WaveRouter, seen: RouterNow, version: str, now_ms: int, bounds: Bounds
) -> WaveRouter:
    fate, reason = _fate(one, seen, version, now_ms, bounds)
    if fate == one.fate:
        return one
    return one._replace(fate=fate, fate_ms=None if fate is None else now_ms, reason=reason)


def _fate(
    one: WaveRouter, seen: RouterNow, version: str, now_ms: int, bounds: Bounds
) -> tuple[Fate | None, str | None]:
    if one.asked_ms is None:
        return ("upgraded" if _runs(one, seen, version) else None), None
    asked_for_ms = now_ms - one.asked_ms
    fresh = seen.runs - one.runs - 1 - one.restarts
    if one.fate == "restarts" or (asked_for_ms < bounds.watch_ms and fresh > bounds.restarts):
        return "restarts", f"{seen.runs - one.runs} runs began since it was asked"
    if _runs(one, seen, version) and seen.is_acked:
        return "upgraded", None
    if seen.fate in ("refused", "rolled-back"):
        return seen.fate, seen.reason
    if one.fate in FAILURES and not seen.is_wished:
        return one.fate, one.reason
    # What a router runs whose access was revoked is not known any more.
    if one.fate == "upgraded" and seen.version is not None and not _runs(one, seen, version):
        return "rolled-back", f"it runs {seen.version} again"
    if seen.is_online is None or one.fate == "upgraded":
        return one.fate, one.reason
    if not seen.is_online and now_ms - max(seen.heard_ms, one.asked_ms) >= bounds.quiet_ms:
        return "silent", None
    if seen.is_online and asked_for_ms >= bounds.answer_ms:
        return "unanswered", f"it runs {seen.version}"
    return None, None


def _runs(one: WaveRouter, seen: RouterNow, version: str) -> bool:
    """Whether it has the version: an agent does not know the release behind it, its helper does."""
    plain, _, release = version.partition("-r")
    knows = release in ("", "1") or "upgraded" in (one.fate, seen.fate)
    return seen.version == plain and knows
