"""Writes the public page as plain files: whole pages, in each language, whole without JavaScript.

Rule: a file is replaced whole, and only when it changed; what a place had goes with the place.
Rule: it is the only one who writes there. A folder that has anything else, or is not apart from
the city's own files, is refused before anything is written or removed.
Rule: every link is relative, so any web server or bucket serves the folder from any address.
Rule: templates get a `PublicCity` and its past, and nothing else of the store.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from titik_collector.config.model import Config, ConfigError
from titik_collector.files.replace import Owner, replace_file
from titik_collector.languages.codes import CODES
from titik_collector.languages.language import language
from titik_collector.public import drawing, open_data, public_city, public_outages, usual_day
from titik_collector.public.public_city import QUARTER_MS, PublicCity, PublicPlace
from titik_collector.public.public_past import (
    DAYS,
    HOURS_DAYS,
    SETTLED_MS,
    PublicPast,
    PublicPasts,
)
from titik_collector.public.suppression import FEW, LEAST, LOADS, TOTAL_STEP
from titik_collector.queries import server_warnings
from titik_collector.store import opening
from titik_collector.timeline import server_clock
from titik_collector.web import basemap, public_names
from titik_collector.web.basemap import Basemap
from titik_collector.web.places import MARKS
from titik_collector.web.site_map import HEIGHT, WIDTH
from titik_wire.instant import MINUTE_MS

READABLE = Owner(-1, -1, 0o644)  # by the web server
OURS = "titik-public"  # stands in every page; a folder with another index is somebody else's
# Each page is written again with the next quarter of an hour, once that is computed.
OLD_MS = QUARTER_MS + SETTLED_MS + 3 * MINUTE_MS
STYLES = (("web", "static/css/colours.css"), ("public", "assets/public.css"))


class PublicExport:
    """The folder of one city."""

    def __init__(self, config: Config, folder: Path) -> None:
        self._config, self._folder = config, folder
        self._pasts = PublicPasts()
        self._written: dict[str, object] = {}  # by path, what each file followed from
        self._basemap: Basemap | None = basemap.of_city(config)
        config.check_served(folder)
        pages = (folder / "index.html", *(folder / code / "index.html" for code in CODES))
        found = (
            one for one in pages if one.exists() and OURS not in one.read_text(errors="replace")
        )
        other = next(chain(public_names.others(folder), found), None)
        if other is not None:
            raise ConfigError(
                config.file,
                "public.directory",
                f"{other} is not ours",
                f"move it away, or name an empty folder and copy {open_data.DAYS} there",
            )

    def write(self, now_ms: int | None = None) -> int:
        """All that changed; how many files. StoreError if the store cannot be read."""
        config = self._config
        with opening.reading(config.page_store, config.file) as db, db.snapshot():
            at_ms = server_clock.shown_ms(db) if now_ms is None else now_ms
            warnings = server_warnings.look(config, at_ms, db).warnings
            city = public_city.gather(db, config, at_ms, warnings)
            pasts = self._pasts.read(db, config, at_ms)
        kept = [one.stem for one in (self._folder / open_data.DAYS).glob("*.csv")]
        found = _files(config, city, pasts, self._basemap, kept)
        files = {one.path: one for one in found}
        written = [path for path, one in files.items() if self._replace(path, one)]
        self._remove_others(files)
        return len(written)

    def _replace(self, path: str, page: "PublicFile") -> bool:
        """Whether it was another; what follows from the same as before is not drawn again."""
        if self._written.get(path) == page.of and (self._folder / path).exists():
            return False
        self._written[path] = page.of
        file, text = self._folder / path, page.text()
        if file.exists() and file.read_bytes() == text.encode():
            return False
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        replace_file(file, text, READABLE)
        return True

    def _remove_others(self, files: Mapping[str, object]) -> None:
        """Pages and badges of places that are gone, and open data without a licence."""
        if self._config.public.licence is None:
            self._remove_open_data()
        for folder in (f"{code}/{part}" for code in CODES for part in ("place", "badge")):
            for file in (self._folder / folder).glob("*.*"):
                path = f"{folder}/{file.name}"
                if path not in files and public_names.is_page(path):
                    file.unlink()

    def _remove_open_data(self) -> None:
        """By the names of its files alone: the folder may hold what is not ours."""
        days = (self._folder / open_data.DAYS).glob("????-??-??.csv")
        for file in (*days, self._folder / open_data.PLACES, self._folder / open_data.INDEX):
            file.unlink(missing_ok=True)
        for folder in (open_data.DAYS, open_data.FOLDER):
            with contextlib.suppress(OSError):  # it was never there, or has files of others
                (self._folder / folder).rmdir()


class PublicFile(NamedTuple):
    """One file, drawn when it is needed."""

    path: str
    of: object  # what it follows from; equal: it is the same
    text: Callable[[], str]


def _files(
    config: Config,
    city: PublicCity,
    pasts: Mapping[str, PublicPast],
    base: Basemap | None,
    kept: Sequence[str],
) -> Iterator[PublicFile]:
    """Every file of the folder."""
    style, code = styles(), script()
    yield PublicFile("assets/public.css", style, styles)
    yield PublicFile("assets/public.js", code, script)
    common = {
        "city": city,
        "zone": config.city.timezone,
        "questions_to": config.public.contact,
        "licence": config.public.licence,
        "style": _digest(style),
        "script": _digest(code),
        "map": drawing.map_of(city.places, base),
        "pasts": pasts,
        "place": None,
    }
    first = config.public.language or config.web.language
    yield PublicFile("index.html", city, partial(_page, first, "", "now", common))
    yield from _open_data(config, city, pasts, kept)
    for code in CODES:
        for page, name in (("now", "index"), ("history", "history"), ("about", "about")):
            drawn = partial(_page, code, "../", page, common)
            yield PublicFile(f"{code}/{name}.html", (city, pasts[""]), drawn)
        of_city = partial(_badge, code, city.title, common)
        yield PublicFile(f"{code}/badge/{config.city.name}.svg", city.places, of_city)
        for place in city.places:
            yield from _of_place(code, place, common)


def _open_data(
    config: Config, city: PublicCity, pasts: Mapping[str, PublicPast], kept: Sequence[str]
) -> Iterator[PublicFile]:
    """Only with a licence; `kept`: days of before, which stay when pages show them no more."""
    licence, zone = config.public.licence, config.city.timezone
    if licence is None:
        return
    places = partial(open_data.places, city, licence, zone)
    yield PublicFile(open_data.PLACES, (city, licence), places)
    days = open_data.whole_days(pasts, zone)
    for date, of in days.items():
        drawn = partial(open_data.day, city, pasts, date, licence, zone)
        yield PublicFile(open_data.day_file(date), (of, licence, city.title), drawn)
    every = tuple(sorted({*days, *kept}))
    drawn = partial(open_data.index, city, licence, every)
    yield PublicFile(open_data.INDEX, (every, licence, city.title), drawn)


def _of_place(code: str, place: PublicPlace, common: Mapping[str, Any]) -> Iterator[PublicFile]:
    values, file = {**common, "place": place}, f"place/{place.name}.html"
    follows = (place, common["city"].quarter, common["pasts"][place.name])
    drawn = partial(_page, code, "../../", "place", values, file)
    yield PublicFile(f"{code}/{file}", follows, drawn)
    badge = partial(_badge, code, place.title, values)
    yield PublicFile(f"{code}/badge/{place.name}.svg", place, badge)


def _page(code: str, up: str, page: str, values: Mapping[str, Any], at: str = "") -> str:
    at = at or ("index.html" if page == "now" else f"{page}.html")
    template = _environment(code).get_template(f"public_{page}.html")
    return template.render(**values, page=page, at=at, up=up)


def _badge(code: str, title: str, values: Mapping[str, Any]) -> str:
    template = _environment(code).get_template("public_badge.svg")
    return template.render(**values, title=title)


@lru_cache(maxsize=4 * 24 * HOURS_DAYS)  # each place has the same hours
def _hour(code: str, at_ms: int, zone: ZoneInfo) -> str:
    lang = language(code)
    return f"{lang.short_day(at_ms, zone)} {lang.clock(at_ms, zone)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@cache
def script() -> str:
    """What says that a page is old."""
    return (resources.files("titik_collector.public") / "assets/public.js").read_text("utf-8")


@cache
def styles() -> str:
    """One file: the colours of the page, and the layout of this one."""
    return "\n".join(
        (resources.files(f"titik_collector.{room}") / file).read_text(encoding="utf-8")
        for room, file in STYLES
    )


@cache
def _environment(code: str) -> Environment:
    made = Environment(
        loader=ChoiceLoader(
            [PackageLoader("titik_collector.public"), PackageLoader("titik_collector.web")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    lang = language(code)
    made.install_gettext_translations(lang.texts, newstyle=True)  # type: ignore[attr-defined]
    made.globals |= {
        "lang": lang,
        "hour": partial(_hour, code),
        "languages": CODES,
        "marks": MARKS,
        "language_of": language,
        "week": drawing.week,
        "clock": drawing.clock,
        "usual_day": usual_day.of,
        "few": FEW,
        "least": LEAST,
        "loads": {word: share for share, word in LOADS},
        "total_step": TOTAL_STEP,
        "days": DAYS,
        "hours_days": HOURS_DAYS,
        "how_often": public_outages.how_often,
        "to_name": public_outages.to_name,
        "map_size": (WIDTH, HEIGHT),
        "old_ms": OLD_MS,
        "ours": OURS,
    }
    return made
