"""The public page's figures as files for programs: places as GeoJSON, and each day as CSV.

What leaves here is what the pages show: cells that `suppression.publish` made, and nothing else.

Rule: an address never changes. A day is written when all of its hours are over, and again while
late samples can change it. It stays when the pages show it no more.
Rule: every file names its licence. Without one in the configuration none is written, because data
that nobody may use are not open.
Rule: what is not known is absent in JSON and empty in CSV. A count below 5 is no number.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from titik_collector.public.public_city import PublicCity, PublicPlace
from titik_collector.public.public_past import PublicDay, PublicHour, PublicPast
from titik_collector.public.suppression import FEW, LEAST, TOTAL_STEP, Cell, Total

FOLDER: Final = "data"
DAYS: Final = f"{FOLDER}/day"
PLACES: Final = f"{FOLDER}/places.geojson"
INDEX: Final = f"{FOLDER}/index.json"
HEAD: Final = (
    *("hour", "scope", "place", "title", "devices", "devices_below", "download_bps", "upload_bps"),
    *("is_open", "licence"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def places(city: PublicCity, licence: str, zone: ZoneInfo) -> str:
    """Every place with its newest quarter of an hour; one without a position has no geometry."""
    features = [_feature(one) for one in city.places]
    found = {
        "type": "FeatureCollection",
        **_about(city, licence),
        "from": _iso(city.quarter.start_ms, zone),
        "to": _iso(city.quarter.end_ms, zone),
        "city": {"title": city.title, **_figures(city.total, TOTAL_STEP)},
        "features": features,
    }
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def index(city: PublicCity, licence: str, days: Iterable[str]) -> str:
    """What there is, by its address below this folder."""
    found = {
        **_about(city, licence),
        "places": PLACES.rpartition("/")[2],
        "days": [f"day/{one}.csv" for one in days],
        "fields": list(HEAD),
        "counts": (
            f"means, rounded to 5; fewer than {LEAST} is no number, and devices_below says so"
        ),
    }
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def whole_days(pasts: Mapping[str, PublicPast], zone: ZoneInfo) -> dict[str, list[PublicDay]]:
    """By their dates: of the city, then of each place in the order of their names."""
    found: dict[str, list[PublicDay]] = {}
    for name in sorted(pasts):
        for day in pasts[name]:
            if day.hours and not day.goes_on:
                found.setdefault(date_of(day, zone), []).append(day)
    return found


def date_of(day: PublicDay, zone: ZoneInfo) -> str:
    """`2026-11-28`, by the city's clock."""
    return datetime.fromtimestamp(day.span.start_ms / 1000, zone).date().isoformat()


def day_file(date: str) -> str:
    """Where a day is."""
    return f"{DAYS}/{date}.csv"


def day(
    city: PublicCity, pasts: Mapping[str, PublicPast], date: str, licence: str, zone: ZoneInfo
) -> str:
    """All hours of a day: of the city, then of each place."""
    titles = {one.name: one.title for one in city.places}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for name in sorted(pasts):
        for one in pasts[name]:
            if one.hours and not one.goes_on and date_of(one, zone) == date:
                whose = (
                    ("place", name, _plain(titles.get(name, name))) if name else ("city", "", "")
                )
                least = LEAST if name else TOTAL_STEP
                writer.writerows(_row(hour, whose, least, licence, zone) for hour in one.hours)
    return text.getvalue()


def _about(city: PublicCity, licence: str) -> dict[str, Any]:
    return {
        "licence": licence,
        "source": city.title,
        **({"simulated": True} if city.is_simulated else {}),
    }


def _feature(one: PublicPlace) -> dict[str, Any]:
    """A place without a count still has its state."""
    geometry = None
    if one.position is not None:
        geometry = {"type": "Point", "coordinates": list(one.position)}
    properties = {
        "name": one.name,
        "title": one.title,
        "state": "closed" if one.closed_now else one.state,
        "hours": one.hours,
        "capacity": one.capacity,
        **_figures(one.figures, LEAST),
    }
    known = {name: value for name, value in properties.items() if value is not None}
    return {"type": "Feature", "id": one.name, "geometry": geometry, "properties": known}


def _figures(of: Cell | Total, least: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if of.clients == FEW:
        found["devices_below"] = least
    elif of.clients is not None:
        found["devices"] = of.clients
    for name, value in (("download_bps", of.down_bps), ("upload_bps", of.up_bps)):
        if value is not None:
            found[name] = value
    return found


def _row(
    hour: PublicHour, whose: tuple[str, str, str], least: int, licence: str, zone: ZoneInfo
) -> list[Any]:
    figures = _figures(hour.figures, least)
    known = [figures.get(name) for name in HEAD[4:8]]
    is_open = "" if whose[0] == "city" else str(hour.is_open).lower()
    return [_iso(hour.start_ms, zone), *whose, *known, is_open, _plain(licence)]


def _iso(at_ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).isoformat(timespec="seconds")


def _plain(text: str) -> str:
    """A spreadsheet takes what begins so for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
