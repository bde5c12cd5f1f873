"""The stored samples of a boot in order of uptime, as placing them in time wants them.

Rule: what a live sample asks for is found by an index, however many samples the boot has.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from titik_collector.store.database import Database, Row

_COLUMNS = (
    "run_id, seq, uptime_ms, taken_ms, arrived_ms, at_ms, quality, covers_ms,"
    " CASE WHEN client_ms IS NOT NULL THEN observed_ms END, sections"
)

# From the last believed clock before an uptime to the first after another, or the boot's ends.
_BETWEEN_CLOCKS = (
    "uptime_ms BETWEEN coalesce((SELECT c.uptime_ms FROM sample AS c"
    " WHERE c.boot_id = boot AND c.uptime_ms < low_ms AND c.taken_ms IS NOT NULL"
    " ORDER BY c.uptime_ms DESC LIMIT 1), 0) AND coalesce((SELECT c.uptime_ms FROM sample AS c"
    " WHERE c.boot_id = boot AND c.uptime_ms > high_ms AND c.taken_ms IS NOT NULL"
    f" ORDER BY c.uptime_ms LIMIT 1), {2**62})"
)


class SampleRow(NamedTuple):
    """What placing needs of a stored sample."""

    run_id: int
    seq: int
    uptime_ms: int
    taken_ms: int | None  # None: its clock is not believed
    arrived_ms: int
    at_ms: int
    quality: str
    covers_ms: int
    observed_ms: int | None  # None also where client time is not known
    sections: int


class SamplePosition(NamedTuple):
    """The place of a sample among those of its boot."""

    uptime_ms: int
    run_id: int
    seq: int


class BootEnd(NamedTuple):
    """When the first or the last sample of a boot was taken."""

    at_ms: int
    uptime_ms: int


def named(db: Database, names: Sequence[tuple[int, int]]) -> dict[tuple[int, int], SampleRow]:
    """Samples by run and seq, those that are stored."""
    head, values = db.keyed(("run", "at"), names)
    rows = db.execute(
        f"{head} SELECT {_COLUMNS} FROM key CROSS JOIN sample WHERE run_id = run AND seq = at",
        values,
    )
    found = (SampleRow(*row) for row in rows)
    return {(row.run_id, row.seq): row for row in found}


def whole(db: Database, boots: Sequence[int]) -> dict[int, list[SampleRow]]:
    """All samples of each boot."""
    head, values = db.keyed(("boot",), [(one,) for one in boots])
    found: dict[int, list[SampleRow]] = {one: [] for one in boots}
    for boot_id, *row in db.execute(
        f"{head} SELECT boot, {_COLUMNS} FROM key CROSS JOIN sample WHERE boot_id = boot"
        " ORDER BY boot, uptime_ms, run_id, seq",
        values,
    ):
        found[boot_id].append(SampleRow._make(row))
    return found


def between_clocks(db: Database, asked: Sequence[tuple[int, int, int]]) -> list[list[SampleRow]]:
    """Around two uptimes of each boot: from a believed clock to the next, both included."""
    head, values = db.keyed(
        ("n", "boot", "low_ms", "high_ms"), [(n, *one) for n, one in enumerate(asked)]
    )
    found: list[list[SampleRow]] = [[] for _ in asked]
    for n, *row in db.execute(
        f"{head} SELECT n, {_COLUMNS} FROM key CROSS JOIN sample"
        f" WHERE boot_id = boot AND {_BETWEEN_CLOCKS} ORDER BY n, uptime_ms, run_id, seq",
        values,
    ):
        found[n].append(SampleRow._make(row))
    return found


def with_clock(db: Database, boots: Sequence[int]) -> set[int]:
    """Those of some boots that have a sample whose clock is believed."""
    head, values = db.keyed(("boot",), [(one,) for one in boots])
    # The newest are the likeliest to have one, and no row is the latest where all have.
    rows = db.execute(
        f"{head} SELECT boot FROM key WHERE (SELECT 1 FROM sample"
        " WHERE boot_id = boot AND taken_ms IS NOT NULL"
        " ORDER BY uptime_ms DESC LIMIT 1) IS NOT NULL",
        values,
    )
    return {boot_id for (boot_id,) in rows}


def smallest_arrivals(db: Database, boots: Sequence[int]) -> dict[int, int]:
    """The smallest arrival minus uptime of each boot that has a sample."""
    head, values = db.keyed(("boot",), [(one,) for one in boots])
    rows = db.execute(
        f"{head} SELECT boot, min(arrived_ms - uptime_ms) FROM key CROSS JOIN sample"
        " WHERE boot_id = boot GROUP BY boot",
        values,
    )
    return {boot_id: arrival_ms for boot_id, arrival_ms in rows}


def firsts(db: Database, boots: Sequence[int]) -> dict[int, BootEnd]:
    """Where the samples of each boot begin that has any."""
    return _edges(db, boots, "ASC")


def lasts(db: Database, boots: Sequence[int]) -> dict[int, BootEnd]:
    """Where the samples of each boot end that has any."""
    return _edges(db, boots, "DESC")


def _edges(db: Database, boots: Sequence[int], order: str) -> dict[int, BootEnd]:
    head, values = db.keyed(("boot",), [(one,) for one in boots])
    edge = f"FROM sample AS o WHERE o.boot_id = boot ORDER BY o.uptime_ms {order}"
    edge += f", o.run_id {order}, o.seq {order} LIMIT 1"
    rows = db.execute(
        f"{head} SELECT boot, at_ms, uptime_ms FROM key CROSS JOIN sample"
        f" WHERE run_id = (SELECT o.run_id {edge}) AND seq = (SELECT o.seq {edge})",
        values,
    )
    return {boot_id: BootEnd(*edge) for boot_id, *edge in rows}


class NeighbourQuery(NamedTuple):
    """A place in a boot whose neighbour is looked for."""

    n: int  # a number of the caller's
    boot_id: int
    at: SamplePosition
    sections: int  # the neighbour has all of these
    run_id: int | None = None  # the neighbour is one of this run, and has client time


def beside(
    db: Database, asked: Sequence[NeighbourQuery], older: bool
) -> list[tuple[int, int, int]]:
    """By the caller's number, run and seq of the sample next to each place; none where none is."""
    return [(n, run_id, seq) for n, run_id, seq in _beside(db, asked, older, "run_id, seq")]


def rows_beside(db: Database, asked: Sequence[NeighbourQuery], older: bool) -> dict[int, SampleRow]:
    """By the caller's number the sample next to each place; none where none is."""
    return {n: SampleRow._make(row) for n, *row in _beside(db, asked, older, _COLUMNS)}


def _beside(
    db: Database, asked: Sequence[NeighbourQuery], older: bool, columns: str
) -> Iterator[Row]:
    side, order = ("<", "DESC") if older else (">", "ASC")
    plain = [(one.n, one.boot_id, *one.at, one.sections) for one in asked if one.run_id is None]
    if plain:
        head, values = db.keyed(("n", "boot", "up_ms", "run", "at", "bits"), plain)
        one_beside = (
            f"FROM sample AS o WHERE o.boot_id = key.boot AND (o.uptime_ms, o.run_id, o.seq) {side}"
            " (key.up_ms, key.run, key.at) AND o.sections & key.bits = key.bits"
            f" ORDER BY o.uptime_ms {order}, o.run_id {order}, o.seq {order} LIMIT 1"
        )
        yield from db.execute(
            # PostgreSQL finds no pair of columns by an index.
            f"{head} SELECT key.n, {columns} FROM key CROSS JOIN sample"
            f" WHERE run_id = (SELECT o.run_id {one_beside}) AND seq = (SELECT o.seq {one_beside})",
            values,
        )
    far = 2**62 if older else -1
    counting = [
        # Within a run by seq, because there an index leads.
        (
            one.n,
            one.boot_id,
            one.run_id,
            *((far, one.at.seq) if one.run_id == one.at.run_id else (one.at.uptime_ms, far)),
        )
        for one in asked
        if one.run_id is not None
    ]
    if counting:
        head, values = db.keyed(("n", "boot", "run", "up_ms", "at"), counting)
        yield from db.execute(
            f"{head} SELECT key.n, {columns} FROM key CROSS JOIN sample"
            " WHERE run_id = key.run AND seq = (SELECT o.seq FROM sample AS o"
            f" WHERE o.run_id = key.run AND o.boot_id = key.boot AND o.seq {side} key.at"
            f" AND o.uptime_ms {side} key.up_ms"
            " AND o.client_ms IS NOT NULL AND o.observed_ms IS NOT NULL"
            f" ORDER BY o.seq {order} LIMIT 1)",
            values,
        )
