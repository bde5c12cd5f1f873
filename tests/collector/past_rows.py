"""A past for tests: windows, outages and moves as rows, without the samples that they came of."""

import random
from typing import Any
from zoneinfo import ZoneInfo

from titik_collector.figures.figures import with_means
from titik_collector.figures.scope import CITY_ID
from titik_collector.figures.table import ADDITIVE, Figures
from titik_collector.figures.windows import Calendar, Span, Window
from titik_collector.queries import history
from titik_collector.queries.history import WINDOW_MS, Subject
from titik_collector.store import rollups
from titik_collector.store.database import Database
from titik_collector.store.rollups import RollupRow, WindowKey
from titik_wire import instant

BERLIN = ZoneInfo("Europe/Berlin")
ROUTERS = ("tirosa-1", "tirosa-2", "tirosa-3")
SITE_OF = {1: 1, 2: 1, 3: 2}
SUBJECTS = (
    *(Subject("router", n, name, name) for n, name in enumerate(ROUTERS, 1)),
    Subject("site", 1, "s1", "Taman Tirosa"),
    Subject("city", CITY_ID, "kupang", "Kota Kupang"),
)


def ms(text: str) -> int:
    """`2026-10-25T00:00` of UTC in milliseconds."""
    return instant.from_text(f"{text}:00.000Z")


def place(db: Database, since_ms: int) -> None:
    """Two sites, and each router at its own since then."""
    for site in (1, 2):
        db.execute(
            "INSERT INTO site (id, name, title, registered) VALUES (?, ?, ?, 1)",
            (site, f"s{site}", f"Site {site}"),
        )
    for router, site in SITE_OF.items():
        db.execute("INSERT INTO membership VALUES (?, ?, ?)", (router, since_ms, site))


def put(
    db: Database,
    subject: Subject,
    window: Window,
    start_ms: int,
    end_ms: int | None = None,
    revision: int = 1,
    **figures: Any,
) -> None:
    """One window."""
    key = WindowKey(subject.scope, subject.id, window, start_ms)
    end_ms = end_ms or start_ms + WINDOW_MS[window]
    with db.transaction():
        rollups.put(db, [(key, RollupRow(end_ms, revision, Figures(**figures)))])


def fill(db: Database, window: Window, whole: Span, zone: ZoneInfo, rand: random.Random) -> None:
    """Windows of all subjects, with gaps, and some with little that is known."""
    rows = []
    for subject in SUBJECTS:
        for edge in history.spans(window, whole, Calendar(zone)):
            if rand.random() < 0.8:
                figures = _drawn(edge.end_ms - edge.start_ms, rand)
                key = WindowKey(subject.scope, subject.id, window, edge.start_ms)
                rows.append((key, RollupRow(edge.end_ms, rand.randrange(9), figures)))
    with db.transaction():
        rollups.put(db, rows)


def _drawn(length_ms: int, rand: random.Random) -> Figures:
    sums = {name: rand.choice((0, rand.randrange(length_ms))) for name in ADDITIVE}
    if rand.random() < 0.3:
        sums["covered_ms"] = rand.choice((0, 1))
    if rand.random() < 0.3:
        sums["up_ms"] = rand.choice((0, 1))
    figures = Figures(routers=rand.randrange(1, 4), **sums)
    return with_means(figures)._replace(
        clients_min=rand.randrange(3), clients_max=rand.choice((None, 7)), visitors_min=4
    )
