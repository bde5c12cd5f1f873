"""A language of the page: its words, and how it writes numbers, rates, dates and durations.

Rule: a text in the code is plain English, and the key of its translation.
Rule: what is not known is `·`, never zero and never empty.
"""

import gettext
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from importlib import resources

from babel.core import Locale
from babel.dates import format_date, format_skeleton, format_time
from babel.numbers import format_decimal

from titik_collector.languages.codes import CODES, TITLES

UNKNOWN = "·"
# Short forms of a minute, an hour and a day, longest first: their length, id and en.
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_SHORT = {
    "id": {"day": "h", "hour": "j", "minute": "m", "second": "dtk"},
    "en": {"day": "d", "hour": "h", "minute": "m", "second": "s"},
}
_RATES = ((1e9, "Gb/s"), (1e6, "Mb/s"), (1e3, "kb/s"), (1.0, "b/s"))
_DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_DAY = re.compile(rf"\b({'|'.join(_DAYS)})\b", re.IGNORECASE)
_SHUT = re.compile(r"\b(off|closed)\b", re.IGNORECASE)
_AMOUNTS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))


@dataclass(frozen=True, slots=True)
class Language:
    """One language."""

    code: str
    locale: Locale
    texts: gettext.NullTranslations

    @property
    def title(self) -> str:
        """Its own name for itself."""
        return TITLES[self.code]

    def say(self, text: str) -> str:
        """The text in this language."""
        return self.texts.gettext(text)

    def many(self, one: str, several: str, number: int) -> str:
        """The text for a number, which stands in it as `%(num)d`."""
        return self.texts.ngettext(one, several, number) % {"num": number}

    def count(self, number: float | None, digits: int = 0) -> str:
        """A number with the separators of the language; `·` if it is not known."""
        if number is None:
            return UNKNOWN
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return str(format_decimal(number, format=pattern, locale=self.locale))

    def percent(self, ratio: float | None) -> str:
        """A share of one as whole percent; what is not whole never reads as 100."""
        if ratio is None:
            return UNKNOWN
        percent = round(ratio * 100)
        return f"{99 if percent == 100 and ratio < 1 else percent}%"

    def rate(self, bps: float | None) -> str:
        """Bits a second, such as `168 Mb/s`."""
        return self._scaled(bps, _RATES)

    def amount(self, number: float | None) -> str:
        """Bytes, such as `1.2 TB`."""
        return self._scaled(number, _AMOUNTS)

    def length(self, seconds: float) -> str:
        """How long something lasts, such as `2 h 10 m`, `12 m` or `8 s`."""
        return " ".join(f"{number} {_SHORT[self.code][unit]}" for number, unit in _lengths(seconds))

    def length_in_words(self, seconds: float) -> str:
        """The same for people who see it once, such as `2 hours 10 minutes`."""
        return " ".join(self._counted(number, unit) for number, unit in _lengths(seconds))

    def _counted(self, number: int, unit: str) -> str:
        return {
            "day": self.many("%(num)d day", "%(num)d days", number),
            "hour": self.many("%(num)d hour", "%(num)d hours", number),
            "minute": self.many("%(num)d minute", "%(num)d minutes", number),
            "second": self.many("%(num)d second", "%(num)d seconds", number),
        }[unit]

    @property
    def units(self) -> str:
        """The short forms of day, hour, minute and second, with a space between them."""
        return " ".join(_SHORT[self.code].values())

    def time_or_day(self, at_ms: int, now_ms: int, zone: tzinfo, *, seconds: bool = False) -> str:
        """The time of day, with the day where it is not the day of `now_ms`."""
        is_today = _moment(at_ms, zone).date() == _moment(now_ms, zone).date()
        clock = self.clock(at_ms, zone, seconds=seconds)
        return clock if is_today else f"{self.short_day(at_ms, zone)} {clock}"

    def clock(self, at_ms: int, zone: tzinfo, *, seconds: bool = False) -> str:
        """The time of day in the zone, such as `14.05` or `14:05`."""
        pattern = "HH:mm:ss" if seconds else "HH:mm"
        return str(
            format_time(
                _moment(at_ms, zone),
                pattern if self.code == "en" else pattern.replace(":", "."),
                tzinfo=zone,
                locale=self.locale,
            )
        )

    def day(self, at_ms: int, zone: tzinfo) -> str:
        """The date in the zone, such as `28 November 2026`."""
        return str(format_date(_moment(at_ms, zone).date(), "d MMMM y", locale=self.locale))

    def month(self, at_ms: int, zone: tzinfo) -> str:
        """The month in the zone, such as `November 2026`."""
        return str(format_date(_moment(at_ms, zone).date(), "MMMM y", locale=self.locale))

    def short_day(self, at_ms: int, zone: tzinfo) -> str:
        """The date without its year, such as `28 Nov`."""
        moment = _moment(at_ms, zone)
        return str(format_skeleton("MMMd", moment, tzinfo=zone, locale=self.locale))

    def weekday(self, at_ms: int, zone: tzinfo) -> str:
        """The day of the week in the zone, such as `Sab`."""
        return str(format_date(_moment(at_ms, zone).date(), "EEE", locale=self.locale))

    def iso(self, at_ms: int, zone: tzinfo) -> str:
        """For programs: ISO 8601 with the offset of the zone."""
        return _moment(at_ms, zone).isoformat(timespec="seconds")

    def zone(self, at_ms: int, zone: tzinfo) -> str:
        """What people call the zone."""
        return zone_label(at_ms, zone)

    def hours(self, text: str) -> str:
        """Opening hours with the days' names and the clock of the language.

        `text`: as a site has them, such as `Mo-Fr 08:00-17:00; Sa off`.
        """
        named = _DAY.sub(lambda found: self._weekday(found[0]), text)
        shut = _SHUT.sub(self.say("closed"), named)
        return shut if self.code == "en" else shut.replace(":", ".")

    def _weekday(self, code: str) -> str:
        monday = date(2024, 1, 1)
        day = monday + timedelta(days=_DAYS.index(code.capitalize()))
        return str(format_date(day, "EEE", locale=self.locale))

    def moment(self, at_ms: int, zone: tzinfo) -> str:
        """Date and time with the name of the zone, such as `28 November 2026 14.05 WITA`."""
        return f"{self.day(at_ms, zone)} {self.clock(at_ms, zone)} {zone_label(at_ms, zone)}"

    def _scaled(self, number: float | None, units: tuple[tuple[float, str], ...]) -> str:
        if number is None:
            return UNKNOWN
        for size, unit in units:
            # What would be rounded to 1000 of a unit is 1 of the next.
            if number >= size * 0.9995:
                scaled = number / size
                return f"{self.count(scaled, 1 if scaled < 9.95 and size > 1 else 0)} {unit}"
        return f"0 {units[-1][1]}"


@cache
def language(code: str) -> Language:
    """The language of a code of CODES."""
    if code == "en":
        return Language(code, Locale.parse(code), gettext.NullTranslations())
    file = resources.files("titik_collector.languages") / code / "LC_MESSAGES" / "titik.mo"
    with file.open("rb") as opened:
        return Language(code, Locale.parse(code), gettext.GNUTranslations(opened))


def accepted(header: str) -> str | None:
    """The first of our languages that a browser's Accept-Language asks for; None: none of them."""
    wishes = []
    for place, part in enumerate(header.split(",")):
        tag, _, quality = part.strip().partition(";q=")
        try:
            wishes.append((-float(quality or 1), place, tag.lower().partition("-")[0]))
        except ValueError:
            continue  # what is no number is no wish
    codes = [{"in": "id"}.get(tag, tag) for _, _, tag in sorted(wishes)]
    return next((code for code in codes if code in CODES), None)


def _lengths(seconds: float) -> list[tuple[int, str]]:
    """At most two of _UNITS; seconds alone."""
    left, found = max(0, int(seconds)), list[tuple[int, str]]()
    for size, unit in _UNITS:
        if left >= size and not (unit == "second" and found):
            found.append((left // size, unit))
        elif found:
            break
        left %= size
    return found[:2] or [(0, "second")]


def zone_label(at_ms: int, zone: tzinfo) -> str:
    """What people call the zone: WIB, WITA, WIT in Indonesia, else its own abbreviation."""
    name = _moment(at_ms, zone).tzname() or "UTC"
    return f"UTC{name}" if name[0] in "+-" else name


def _moment(at_ms: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
