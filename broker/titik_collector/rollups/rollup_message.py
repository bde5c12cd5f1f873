"""A stored window as the message that engineers read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from titik_collector.figures.figures import with_means
from titik_collector.figures.table import KINDS, WINDOW, Amount, Figures, Mean, PartOf, Routers, Sum
from titik_collector.store import rollups
from titik_collector.store.database import Database
from titik_collector.store.rollups import RollupRow, WindowKey
from titik_wire.city_messages import Rollup

# Of the columns of a window, and its length times its routers.
Published = Callable[[Sequence[Any], int], Any]


def read(db: Database, key: WindowKey, name: str) -> Rollup:
    """A window that is in the store."""
    return of(key, name, rollups.one(db, key))


def of(key: WindowKey, name: str, row: RollupRow) -> Rollup:
    """Ratios and means from sums; what was not seen is absent."""
    figures = row.figures
    if key.scope == "router":  # rows that are older than rates have none
        figures = with_means(figures)
    length_ms = (row.end_ms - key.start_ms) * max(figures.routers, 1)
    found = {field: publish(figures, length_ms) for field, publish in FIELDS.items()}
    found["coverage_ratio"] = found["coverage_ratio"] or 0.0  # the one that is never absent
    return Rollup(key.scope, name, key.window, key.start_ms, row.revision, **found)


class WindowColumns:
    """The same of many windows of one subject, field by field."""

    def __init__(
        self, raw: Mapping[str, Sequence[Any]], whole_ms: Sequence[int], of_router: bool
    ) -> None:
        """`raw` has the columns of `columns_of`; `whole_ms`: lengths times routers."""
        self._raw, self._whole_ms, self._of_router = raw, whole_ms, of_router

    def field(self, field: str) -> list[Any]:
        """One value for each window."""
        name = _COLUMN_OF.get(field, field)
        values = self._raw[name]
        match KINDS[name]:
            case Amount(known):
                pairs = zip(values, self._raw[known], strict=True)
                return [value if known_ms else None for value, known_ms in pairs]
            case PartOf(_, whole) if whole == WINDOW:
                pairs = zip(values, self._whole_ms, strict=True)
                return [_ratio(value, whole_ms) if value else None for value, whole_ms in pairs]
            case PartOf(_, whole):
                return list(map(_ratio, values, self._raw[whole]))
            case Mean(amount, known, of) if self._of_router:
                return list(map(of, self._raw[amount], self._raw[known]))
            case _:
                return list(values)


def _amount(at: int, known: int) -> Published:
    return lambda figures, _: figures[at] if figures[known] else None


def _share(at: int, whole: int) -> Published:
    return lambda figures, _: _ratio(figures[at], figures[whole])


def _of_window(at: int) -> Published:
    # Without any sample it is not known whether the router was powered.
    return lambda figures, length_ms: _ratio(figures[at], length_ms) if figures[at] else None


def _plain(at: int) -> Published:
    return lambda figures, _: figures[at]


def _ratio(part: int, whole: int) -> float | None:
    return min(1.0, round(part / whole, 4)) if whole else None


def columns_of(fields: Sequence[str]) -> tuple[str, ...]:
    """The columns that these fields of the message follow from."""
    found: dict[str, None] = {"routers": None}  # every share of a window is of its routers' time
    for name, kind in KINDS.items():
        match kind:
            case Amount(known) if name in fields:
                found |= {name: None, known: None}
            case PartOf(field, whole) if field in fields:
                found |= {name: None} | ({} if whole == WINDOW else {whole: None})
            case Mean(amount, known) if name in fields:
                found |= {name: None, amount: None, known: None}
            case _ if name in fields:
                found[name] = None
    return tuple(found)


def _fields() -> dict[str, Published]:
    """How each field of the message follows from the table."""
    found: dict[str, Published] = {}
    where = Figures._fields.index
    for name, kind in KINDS.items():
        match kind:
            case Amount(known):
                found[name] = _amount(where(name), where(known))
            case PartOf(field, whole) if whole == WINDOW:
                found[field] = _of_window(where(name))
            case PartOf(field, whole):
                found[field] = _share(where(name), where(whole))
            case Sum() | Routers():
                pass  # part of others
            case _:
                found[name] = _plain(where(name))
    return found


FIELDS: Final = _fields()
_COLUMN_OF: Final = {kind.field: name for name, kind in KINDS.items() if isinstance(kind, PartOf)}
