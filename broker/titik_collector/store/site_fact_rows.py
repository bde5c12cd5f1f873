"""What a site is beside its place, dated: a change adds a row and changes none.

Rule: the first value of a key counts for all time before it too, because nobody knows another.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from titik_collector.store.database import Database, insert

ALWAYS_MS = 0  # from when the first value counts


class SiteFacts(NamedTuple):
    """The keys of `[[site]]` that say what it is; None or no tag: not given."""

    provider: str | None = None
    circuit: str | None = None
    district: str | None = None
    power: str | None = None
    contact: str | None = None  # for people who are logged in, and nobody else
    hours: str | None = None  # as `wording.opening_hours` reads them
    tier: int | None = None  # 1 is the most important
    tags: tuple[str, ...] = ()


class DatedFact(NamedTuple):
    """What one key of a site says from a time on."""

    site_id: int
    name: str
    from_ms: int
    value: str | None  # None: not given


def add(db: Database, facts: Iterable[DatedFact]) -> None:
    """They are so from then on."""
    db.executemany(insert("site_fact", DatedFact._fields), facts)


def newest(db: Database) -> list[DatedFact]:
    """What counts now, of each key that a site ever had."""
    return _last(db, "", ())


def dated(db: Database, before_ms: int) -> list[DatedFact]:
    """All that was ever so before a time, in order of time."""
    rows = db.execute(
        "SELECT site_id, name, from_ms, value FROM site_fact WHERE from_ms < ?"
        " ORDER BY from_ms, site_id, name",
        (before_ms,),
    )
    return [DatedFact(*row) for row in rows]


def at(db: Database, at_ms: int) -> dict[int, SiteFacts]:
    """What was so at a time, by the site's id; a site without any is not there."""
    found: dict[int, dict[str, str | None]] = {}
    for one in _last(db, "WHERE from_ms <= ?", (at_ms,)):
        found.setdefault(one.site_id, {})[one.name] = one.value
    return {site_id: from_text(texts) for site_id, texts in found.items()}


def _last(db: Database, where: str, values: tuple[int, ...]) -> list[DatedFact]:
    rows = db.execute(
        "SELECT fact.site_id, fact.name, fact.from_ms, fact.value FROM site_fact AS fact"
        f" JOIN (SELECT site_id, name, max(from_ms) AS last_ms FROM site_fact {where}"
        " GROUP BY site_id, name) AS newest ON newest.site_id = fact.site_id"
        " AND newest.name = fact.name AND last_ms = fact.from_ms",
        values,
    )
    return [DatedFact(*row) for row in rows]


def to_text(facts: SiteFacts) -> dict[str, str | None]:
    """As the store has them, by key."""
    texts = facts._replace(tags=())._asdict()
    return {
        **{name: None if value is None else str(value) for name, value in texts.items()},
        "tags": " ".join(facts.tags) or None,
    }


def from_text(texts: Mapping[str, str | None]) -> SiteFacts:
    """The inverse; a key of a later version is left out."""
    known = {name: texts[name] for name in SiteFacts._fields if texts.get(name) is not None}
    tier, tags = known.pop("tier", None), known.pop("tags", None)
    return SiteFacts(
        **known,
        tier=None if tier is None else int(tier),
        tags=tuple((tags or "").split()),
    )
