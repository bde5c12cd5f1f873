"""When samples were taken: the best that is known now, and better when more is known.

Rule: a sample whose clock is believed (`taken_ms`) keeps it. Another sample of its boot is placed
by the nearest such sample through `uptime_ms`. The quality of all of them is `ntp`.
Rule: a clock is not believed if it is later than the sample's arrival, or long before the boot can
have begun. It is kept (`claim_ms`) and judged again when more is known.
Rule: a boot without any is placed by its smallest arrival minus uptime, if the router spoke while
it ran (`arrival`). If not, its power went at the latest when the next boot began (`bounded`).
Rule: places depend on which samples, boots and successions are stored, never on their order.
Rule: what moves marks the time it leaves and the time it enters as dirty, back to the sample
before and on to the sample after, because rates lie between samples.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from titik_collector.figures.windows import HOUR_MS
from titik_collector.store.database import Database
from titik_collector.timeline import changed_spans
from titik_collector.timeline.changed_spans import COLUMNS, Gone, Key, Placed, Row, Stretch

Quality = Literal["ntp", "arrival", "bounded"]

# No sample is placed outside of this, whatever uptime it claims: windows must have dates.
EARLIEST_MS = 2 * 86_400_000
MAX_AHEAD_MS = 120_000  # a clock that is later than the arrival by more is not believed
# Nor one by which the boot began so much earlier than it did. What messages take is in it; a clock
# that was not set since drifts by less than a thousandth.
MAX_BEHIND_MS = 30_000
DRIFT = 1000
# Arrivals and the starts of boots are used to the second: otherwise every sample that travelled a
# millisecond faster than all before would move its whole boot.
GRAIN_MS = 1000


@dataclass(frozen=True, slots=True)
class Change:
    """A row of `sample` that was stored or removed in this transaction."""

    router_id: int
    boot_id: int
    run_id: int
    seq: int
    uptime_ms: int
    # judged: no row changed, but the boot's clock may be worth more or less than before;
    # restamped: this row arrived at another time
    kind: Literal["stored", "removed", "judged", "restamped"]
    at_ms: int | None  # where a removed row was
    reach_ms: int = 0  # of a removed row the larger of its covers_ms and observed_ms


class Claim(NamedTuple):
    """A time that a router says it has from NTP."""

    taken_ms: int
    uptime_ms: int
    arrived_ms: int

    def is_believed(self, prompt_ms: int | None) -> bool:
        """`prompt_ms`: when the boot began, if that is known."""
        if self.taken_ms > self.arrived_ms + MAX_AHEAD_MS:
            return False
        slack_ms = MAX_BEHIND_MS + self.uptime_ms // DRIFT
        return prompt_ms is None or self.taken_ms - self.uptime_ms >= prompt_ms - slack_ms


# Quality, offset, arrival, what its samples have, first and last instant.
State = tuple[Quality, int | None, int | None, int, int, int]


class Region(NamedTuple):
    """Successive rows of a boot, and whether they begin and end it."""

    rows: Sequence[Row]
    first: bool
    last: bool


class Lone(NamedTuple):
    """A boot that nobody heard while it ran."""

    arrival_ms: int  # smallest arrival minus uptime of its samples
    end_ms: int  # largest uptime of its samples
    newer: frozenset[int] = frozenset()  # boots in which samples of this one still waited


@dataclass(slots=True)
class _Boot:
    """A boot that is being settled."""

    router_id: int
    id: int
    changes: list[Change] = field(default_factory=list)
    quality: Quality = "bounded"
    was: Quality | None = None  # None: new
    offset_ms: int | None = None
    arrival_ms: int | None = None
    has: int = 0  # what any sample has: dirty.WIFI, UPLINK, CLIENT
    first_ms: int = 2**62
    last_ms: int = EARLIEST_MS
    known: State | None = None  # what the store remembers
    online: bool = False  # the router was heard while it ran
    prompt_ms: int | None = None  # when it began, by samples that came as they were taken
    anew: bool = False  # all of its samples are to be placed

    def state(self) -> State:
        """As in the store."""
        return (
            self.quality,
            self.offset_ms,
            self.arrival_ms,
            self.has,
            self.first_ms,
            self.last_ms,
        )

    @property
    def stored(self) -> list[Change]:
        return [change for change in self.changes if change.kind == "stored"]

    @property
    def removed(self) -> list[Change]:
        return [change for change in self.changes if change.kind == "removed"]


def settle_times(db: Database, changes: Sequence[Change]) -> None:
    """Place what is new and what moves because of it; in the transaction of the changes."""
    routers: defaultdict[int, dict[int, _Boot]] = defaultdict(dict)
    for change in changes:
        boots = routers[change.router_id]
        boot = boots.setdefault(change.boot_id, _Boot(change.router_id, change.boot_id))
        boot.changes.append(change)
    for router_id, boots in routers.items():
        for boot in boots.values():
            _recall(db, boot)
            kinds = {change.kind for change in boot.changes}
            if "restamped" in kinds:
                # Where there are clocks, only what is between those around each change can move.
                boot.anew, boot.arrival_ms = boot.was != "ntp", None
            if kinds & {"judged", "restamped"}:
                _judge(db, boot)
            if boot.quality == "ntp":
                _settle_by_clock(db, boot)
            elif boot.quality == "arrival":
                _learn_arrival(db, boot)
                _settle_by_offset(db, boot, _floor(boot.arrival_ms or 0))
        if _concerns_lone_boots(db, boots.values()):
            _settle_lone(db, router_id, boots)


def place_by_clock(rows: Sequence[Row]) -> list[int]:
    """Instants of successive samples of a boot, of which at least one has a believed clock."""
    anchors = [row for row in rows if row.taken_ms is not None]
    places, after = [], 0
    for row in rows:
        while after < len(anchors) and anchors[after].uptime_ms < row.uptime_ms:
            after += 1
        near = anchors[max(after - 1, 0) : after + 1]
        # The earlier comes first, so it wins a tie.
        nearest = min(near, key=lambda anchor: abs(anchor.uptime_ms - row.uptime_ms))
        if row.taken_ms is not None:
            places.append(_clamp(row.taken_ms, row.arrived_ms))
        else:
            assert nearest.taken_ms is not None
            place_ms = nearest.taken_ms + row.uptime_ms - nearest.uptime_ms
            # One of the two may have arrived while the server's clock was behind.
            places.append(_clamp(place_ms, max(row.arrived_ms, nearest.arrived_ms)))
    return places


def offsets_of_lone(boots: Mapping[int, Lone], starts: Mapping[int, int]) -> dict[int, int]:
    """Instant minus uptime of boots never heard: just before the next began, at the latest.

    `starts` are those of boots heard while they ran. A chain of lone boots is no longer than their
    number, so as many rounds settle it; a circle, which no real router makes, ends there too.
    """
    offsets = {boot_id: _floor(lone.arrival_ms) for boot_id, lone in boots.items()}
    for _ in range(len(boots)):
        known = {**starts, **offsets}
        better = {}
        for boot_id, lone in boots.items():
            began = [known[newer] for newer in lone.newer if newer in known and newer != boot_id]
            better[boot_id] = min(
                [_floor(lone.arrival_ms), *(start_ms - lone.end_ms for start_ms in began)]
            )
        if better == offsets:
            break
        offsets = better
    return offsets


def _recall(db: Database, boot: _Boot) -> None:
    """What is known of the boot, and by what it is to be placed from now on."""
    row = db.execute(
        "SELECT online, prompt_ms, quality, offset_ms, arrival_ms, has, first_ms, last_ms"
        " FROM boot LEFT JOIN boot_time ON boot_id = id WHERE id = ?",
        (boot.id,),
    ).fetchone()
    if row is not None:
        boot.online, boot.prompt_ms = bool(row[0]), row[1]
        if row[2] is not None:
            boot.known = row[2:]
            boot.was, boot.offset_ms, boot.arrival_ms, boot.has, boot.first_ms, boot.last_ms = row[
                2:
            ]
    boot.quality = _quality(db, boot)


def _quality(db: Database, boot: _Boot) -> Quality:
    if _has_clock(db, boot):
        return "ntp"
    return "arrival" if boot.online else "bounded"


def _has_clock(db: Database, boot: _Boot) -> bool:
    if boot.was == "ntp" and not boot.removed and not boot.anew:
        return True
    # The newest are the likeliest to have one, and no row is the latest where all have.
    return (
        db.execute(
            "SELECT 1 FROM sample WHERE boot_id = ? AND taken_ms IS NOT NULL"
            " ORDER BY uptime_ms DESC LIMIT 1",
            (boot.id,),
        ).fetchone()
        is not None
    )


def _judge(db: Database, boot: _Boot) -> None:
    """Believe the clocks of its samples by what is known now; those that moved count as new.

    SQLite passes over those that go on to be believed: a boot of a month has 86,400 of them.
    """
    rows = db.execute(
        "SELECT run_id, seq, uptime_ms, arrived_ms, at_ms,"
        " max(covers_ms, coalesce(observed_ms, 0)), clocked,"
        " coalesce(taken_ms, claim_ms) FROM sample WHERE boot_id = :boot AND (claim_ms IS NOT NULL"
        " OR taken_ms > arrived_ms + :ahead"
        " OR taken_ms - uptime_ms < :prompt - :behind - uptime_ms / :drift)",
        {
            "boot": boot.id,
            "prompt": boot.prompt_ms,
            "ahead": MAX_AHEAD_MS,
            "behind": MAX_BEHIND_MS,
            "drift": DRIFT,
        },
    ).fetchall()
    for run_id, seq, uptime_ms, arrived_ms, at_ms, reach_ms, clocked, claim_ms in rows:
        believed = Claim(claim_ms, uptime_ms, arrived_ms).is_believed(boot.prompt_ms)
        if believed == bool(clocked):
            continue
        boot.anew = True
        db.execute(
            "UPDATE sample SET clocked = ?, claim_ms = ?, at_ms = ? WHERE run_id = ? AND seq = ?",
            (int(believed), None if believed else claim_ms, claim_ms, run_id, seq),
        )
        key = (boot.router_id, boot.id, run_id, seq, uptime_ms)
        boot.changes += [Change(*key, "removed", at_ms, reach_ms), Change(*key, "stored", None)]
    boot.quality = _quality(db, boot)


def _settle_by_clock(db: Database, boot: _Boot) -> None:
    regions = _regions(db, boot) if boot.was == "ntp" and not boot.anew else [_whole(db, boot.id)]
    boot.offset_ms = boot.arrival_ms = None
    _apply(db, boot, regions, [place_by_clock(region.rows) for region in regions])


def _whole(db: Database, boot_id: int) -> Region:
    return Region(_rows(db, boot_id, "boot_id = :boot", 0), True, True)


def _regions(db: Database, boot: _Boot) -> list[Region]:
    """The rows whose place the changes can touch: between the believed clocks around each."""
    regions: list[Region] = []
    for uptime_ms in sorted({one.uptime_ms for one in boot.changes if one.run_id}):
        if regions and regions[-1].rows and uptime_ms < regions[-1].rows[-1].uptime_ms:
            continue  # it lies inside the one before
        rows = _rows(db, boot.id, _BETWEEN_CLOCKS, uptime_ms)
        if rows:
            clocks = [row.uptime_ms for row in rows if row.taken_ms is not None]
            first = not clocks or clocks[0] >= uptime_ms
            last = not clocks or clocks[-1] <= uptime_ms
            regions.append(Region(rows, first, last))
    return regions


# From the last believed clock before an uptime to the first after it, or the ends of the boot.
_BETWEEN_CLOCKS = (
    "boot_id = :boot AND uptime_ms BETWEEN coalesce((SELECT uptime_ms FROM sample"
    " WHERE boot_id = :boot AND uptime_ms < :uptime AND taken_ms IS NOT NULL"
    " ORDER BY uptime_ms DESC LIMIT 1), 0) AND coalesce((SELECT uptime_ms FROM sample"
    " WHERE boot_id = :boot AND uptime_ms > :uptime AND taken_ms IS NOT NULL"
    " ORDER BY uptime_ms LIMIT 1), 1 << 62)"
)


def _learn_arrival(db: Database, boot: _Boot) -> None:
    """Keep the smallest arrival minus uptime; look again only when it may have risen."""
    if boot.arrival_ms is None or boot.removed:
        (boot.arrival_ms,) = db.execute(
            "SELECT min(arrived_ms - uptime_ms) FROM sample WHERE boot_id = ?", (boot.id,)
        ).fetchone()
        return
    for change in boot.stored:
        row = _row(db, change)
        if row is not None:
            boot.arrival_ms = min(boot.arrival_ms, row.arrived_ms - row.uptime_ms)


def _settle_by_offset(db: Database, boot: _Boot, offset_ms: int) -> None:
    if boot.was == boot.quality and boot.offset_ms == offset_ms and not boot.anew:
        found = (_row(db, change) for change in boot.stored)
        regions = [Region([row], False, False) for row in found if row is not None]
    else:
        regions = [_whole(db, boot.id)]
    boot.offset_ms = offset_ms
    places = [
        [_clamp(row.uptime_ms + offset_ms, row.arrived_ms) for row in one.rows] for one in regions
    ]
    _apply(db, boot, regions, places)


def _concerns_lone_boots(db: Database, boots: Iterable[_Boot]) -> bool:
    return any(
        boot.quality == "bounded"
        or db.execute(
            "SELECT EXISTS (SELECT 1 FROM succession WHERE newer_boot_id = ?) AND EXISTS"
            " (SELECT 1 FROM boot_time WHERE router_id = ? AND quality = 'bounded')",
            (boot.id, boot.router_id),
        ).fetchone()[0]
        for boot in boots
    )


def _settle_lone(db: Database, router_id: int, changed: Mapping[int, _Boot]) -> None:
    """All boots of a router that were never heard, together: each bounds those before it."""
    boots = {boot.id: boot for boot in changed.values() if boot.quality == "bounded"}
    for (boot_id,) in db.execute(
        "SELECT boot_id FROM boot_time WHERE router_id = ? AND quality = 'bounded'", (router_id,)
    ).fetchall():
        if boot_id not in changed:
            boots[boot_id] = _Boot(router_id, boot_id)
            _recall(db, boots[boot_id])
    newer: defaultdict[int, set[int]] = defaultdict(set)
    for older_id, newer_id in db.execute(
        "SELECT run.boot_id, succession.newer_boot_id FROM run"
        " JOIN succession ON succession.older_run_id = run.id WHERE run.router_id = ?",
        (router_id,),
    ):
        newer[older_id].add(newer_id)
    lone, starts = {}, {}
    for boot in boots.values():
        _learn_arrival(db, boot)
        end = _edge(db, boot.id, "DESC")
        if boot.arrival_ms is None or end is None:  # all of its samples are gone
            if boot.changes:
                _apply(db, boot)
            continue
        lone[boot.id] = Lone(boot.arrival_ms, end[1], frozenset(newer[boot.id]))
        for newer_id in newer[boot.id] - boots.keys():
            start = _edge(db, newer_id, "ASC")
            if start is not None:
                starts[newer_id] = _floor(start[0] - start[1])
    for boot_id, offset_ms in offsets_of_lone(lone, starts).items():
        if boots[boot_id].changes or boots[boot_id].offset_ms != offset_ms:
            _settle_by_offset(db, boots[boot_id], offset_ms)


def _edge(db: Database, boot_id: int, order: str) -> tuple[int, int] | None:
    """Instant and uptime of a boot's first (ASC) or last (DESC) sample."""
    row: tuple[int, int] | None = db.execute(
        f"SELECT at_ms, uptime_ms FROM sample WHERE boot_id = ? ORDER BY uptime_ms {order} LIMIT 1",
        (boot_id,),
    ).fetchone()
    return row


def _apply(
    db: Database,
    boot: _Boot,
    regions: Sequence[Region] = (),
    places: Sequence[Sequence[int]] = (),
) -> None:
    """Write the places that differ, and mark the time around what is new, moved or gone."""
    new = {(change.run_id, change.seq) for change in boot.stored}
    stretches = [
        Stretch(
            [
                Placed(row, at_ms, None if (row.run_id, row.seq) in new else row.at_ms)
                for row, at_ms in zip(region.rows, placed, strict=True)
            ],
            region.first,
            region.last,
        )
        for region, placed in zip(regions, places, strict=True)
    ]
    for stretch in stretches:
        for row, at_ms, _ in stretch.rows:
            boot.has |= row.sections | (0 if row.observed_ms is None else changed_spans.CLIENT)
            if (at_ms, boot.quality) != (row.at_ms, row.quality):
                db.execute(
                    "UPDATE sample SET at_ms = ?, quality = ? WHERE run_id = ? AND seq = ?",
                    (at_ms, boot.quality, row.run_id, row.seq),
                )
    ranges: list[changed_spans.Range] = []
    for stretch in stretches:
        # A boot that is believed otherwise leaves or enters minutes without moving.
        ranges += changed_spans.around(db, boot.id, stretch, all_moved=boot.was != boot.quality)
    for gone in _gone(boot):
        ranges += changed_spans.around_removed(db, boot.id, gone)
    _remember(db, boot, changed_spans.mark(db, boot.router_id, ranges, EARLIEST_MS))


def _gone(boot: _Boot) -> Iterable[list[Gone]]:
    """What was removed, by run."""
    runs: defaultdict[int, list[Gone]] = defaultdict(list)
    for change in boot.removed:
        if change.at_ms is not None:
            place = Key(change.uptime_ms, change.run_id, change.seq)
            runs[change.run_id].append(Gone(place, change.at_ms, change.reach_ms))
    return runs.values()


def _remember(db: Database, boot: _Boot, ranges: Sequence[changed_spans.Range]) -> None:
    """What the boot is placed by, and where its figures may lie."""
    if ranges:
        boot.first_ms = min(boot.first_ms, ranges[0].from_ms)
        if ranges[-1].to_ms > boot.last_ms:
            # An hour in advance, so that a live router does not write this with each sample.
            boot.last_ms = ranges[-1].to_ms + HOUR_MS
    if boot.state() != boot.known:
        db.execute(
            "INSERT OR REPLACE INTO boot_time (boot_id, router_id, quality, offset_ms, arrival_ms,"
            " has, first_ms, last_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (boot.id, boot.router_id, *boot.state()),
        )


def _rows(db: Database, boot_id: int, where: str, uptime_ms: int) -> list[Row]:
    """Rows of a boot by uptime."""
    rows = db.execute(
        f"SELECT {COLUMNS} FROM sample WHERE {where} ORDER BY uptime_ms, run_id, seq",
        {"boot": boot_id, "uptime": uptime_ms},
    )
    return [Row(*row) for row in rows]


def _row(db: Database, change: Change) -> Row | None:
    row = db.execute(
        f"SELECT {COLUMNS} FROM sample WHERE run_id = ? AND seq = ?", (change.run_id, change.seq)
    ).fetchone()
    return None if row is None else Row(*row)


def _clamp(at_ms: int, arrived_ms: int) -> int:
    return max(EARLIEST_MS, min(at_ms, arrived_ms + MAX_AHEAD_MS))


def _floor(ms: int) -> int:
    return ms // GRAIN_MS * GRAIN_MS
