"""How a report says its figures, in the language of the reader.

Rule: where a tenth of a percent or more is not known, an availability is its bounds. A bound is
rounded away from the middle, and a figure down, so 100% means that no minute was lost.
"""

from dataclasses import dataclass
from math import ceil, floor
from zoneinfo import ZoneInfo

from titik_collector.figures.windows import Span
from titik_collector.languages.codes import marked
from titik_collector.languages.language import UNKNOWN, Language
from titik_collector.queries import events
from titik_collector.queries.availability import NO_INTERNET, Availability
from titik_collector.reports import period as periods
from titik_collector.reports.report import (
    PARTY_WORDS,
    Headline,
    PlaceHeadline,
    Report,
    ReportedInterruption,
    Use,
)
from titik_wire.instant import DAY_MS, MINUTE_MS

_WHY = {
    **events.WHY,
    NO_INTERNET: marked("the routers' own tests of the internet got no answer"),
}
_CAUSE_UNKNOWN = marked("cause unknown")
_TOO_LOW = marked("may be too low: flow offload is on")
_DATA_OF_DAYS = marked("Data from {first} to {last}: {known} of {all} days.")
_DATA_OF_DAY = marked("Data of {first}: {known} of {all} days.")
_DATA_OF_MONTHS = marked("Data from {first} to {last}: {known} of {all} months.")
_DATA_OF_MONTH = marked("Data of {first}: {known} of {all} months.")
ENOUGH = 0.8  # of the time of the period before: less compares a part with a whole
NAMED = 5  # places on the first page
_TENTHS = 1000  # of a percent in a whole
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class ReportWords:
    """In one language, by the clock of one city."""

    lang: Language
    zone: ZoneInfo

    def available(self, of: Availability) -> str:
        """`98.4%`, or `between 96.1% and 98.4%`."""
        bounds = _bounds(of)
        if bounds is None:
            return self._rounded_down(of)
        text = self.lang.say("between {least} and {most}")
        return text.format(least=self._tenths(bounds[0]), most=self._tenths(bounds[1]))

    def short(self, of: Availability) -> str:
        """The same for a column: `98.4%`, or `96.1-98.4%`."""
        bounds = _bounds(of)
        if bounds is None:
            return self._rounded_down(of)
        return f"{self.lang.count(bounds[0] / 10, 1)}\N{EN DASH}{self._tenths(bounds[1])}"

    def _rounded_down(self, of: Availability) -> str:
        return UNKNOWN if of.ratio is None else self._tenths(floor(of.ratio * _TENTHS + _ROUNDING))

    def _tenths(self, tenths: int) -> str:
        return f"{self.lang.count(tenths / 10, 1)}%"

    def points(self, now: Availability, before: Availability) -> str:
        """By how many points of a percent it changed; empty: that is not known."""
        if now.ratio is None or before.ratio is None:
            return ""
        changed = (now.ratio - before.ratio) * 100
        if abs(changed) < 0.05:
            return self.lang.say("as before")
        amount = f"{_sign(changed)}{self.lang.count(abs(changed), 1)}"
        return self.lang.say("{amount} points").format(amount=amount)

    def change(self, now: float | None, before: float | None) -> str:
        """In percent of what was before; empty: that is not known."""
        if now is None or not before:
            return ""
        percent = (now / before - 1) * 100
        if abs(percent) < 0.5:
            return self.lang.say("as before")
        return f"{_sign(percent)}{self.lang.count(abs(percent))}%"

    def visits(self, use: Use) -> str:
        """`12,300`, or `12,300 to 13,000`."""
        least, most = use.visits_min, use.visits_max
        if least is None or most is None or least == most:
            return self.lang.count(least if most is None else most)
        text = self.lang.say("{least} to {most}")
        return text.format(least=self.lang.count(least), most=self.lang.count(most))

    def traffic(self, use: Use) -> str:
        """Both ways; `≥ 1.2 GB` where some may not be counted."""
        amount = traffic(use)
        at_least = "\N{GREATER-THAN OR EQUAL TO}\N{NO-BREAK SPACE}" if use.flow_offload else ""
        return f"{at_least if amount is not None else ''}{self.lang.amount(amount)}"

    def traffic_in_full(self, use: Use) -> str:
        """With the reason where some may not be counted."""
        reason = self.too_low(use)
        return f"{self.traffic(use)} ({reason})" if reason else self.traffic(use)

    def too_low(self, use: Use) -> str:
        """Why there may be more; empty: all is counted."""
        return self.lang.say(_TOO_LOW) if use.flow_offload else ""

    def more_traffic(self, now: Use, before: Use) -> str:
        """As `change`."""
        return self.change(traffic(now), traffic(before))

    def length(self, ms: int) -> str:
        """`2 h 10 m`, in minutes at least; `0`."""
        return self.lang.length(max(ms, MINUTE_MS) / 1000) if ms else "0"

    def interruptions(self, head: Headline) -> str:
        """How many; nobody knows where nothing is known of the time."""
        return self.lang.count(known_interruptions(head))

    def devices(self, mean: float | None) -> str:
        """`7.4`, or `437`."""
        return self.lang.count(mean, 1 if mean is not None and 0 < mean < 100 else 0)

    def cause(self, cause: str) -> str:
        """Of an interruption."""
        return self.lang.say(_CAUSE_UNKNOWN if cause == "unknown" else cause)

    def comparable(self, report: Report) -> Headline | None:
        """The period before, if enough is known of it."""
        before = report.before
        if before is None or (before.use.coverage or 0.0) < ENOUGH:
            return None
        return before

    def most_lost(self, report: Report) -> list[PlaceHeadline]:
        """The places that lost most time, a few of them."""
        lost = [one for one in report.places if one.headline.availability.lost_ms]
        return sorted(lost, key=lambda one: -one.headline.availability.lost_ms)[:NAMED]

    def share(self, ms: int, of_ms: int) -> str:
        """Of some time, in tenths of a percent."""
        return self._tenths(round(ms / of_ms * _TENTHS)) if of_ms else UNKNOWN

    def period(self, name: str) -> str:
        """`November 2026`, or `2026`."""
        found = periods.parse(name)
        if found.month is None:
            return name
        return self.lang.month(found.span(self.zone).start_ms, self.zone)

    def before(self, name: str) -> str:
        """The period that this one is compared with."""
        return self.period(periods.parse(name).before.name)

    def frozen(self, name: str) -> str:
        """The day on which a report is frozen."""
        return self.lang.day(periods.parse(name).frozen_ms(self.zone), self.zone)

    def moments(self, span: Span) -> str:
        """`12 Nov 14:05 - 15:20`, or with the day of its end too."""
        lang, zone = self.lang, self.zone
        begin = self.moment(span.start_ms)
        if lang.day(span.start_ms, zone) != lang.day(span.end_ms - 1, zone):
            return f"{begin} \N{EN DASH} {self.moment(span.end_ms)}"
        end = lang.clock(span.end_ms, zone)
        if lang.day(span.start_ms, zone) != lang.day(span.end_ms, zone):
            end = end.replace("00", "24", 1)
        return f"{begin} \N{EN DASH} {end}"

    def moment(self, at_ms: int) -> str:
        """`12 Nov 14:05`."""
        lang, zone = self.lang, self.zone
        return f"{lang.short_day(at_ms, zone)} {lang.clock(at_ms, zone)}"

    def part(self, one: Use) -> str:
        """A day of a month, or a month of a year."""
        if one.span.end_ms - one.span.start_ms <= 2 * DAY_MS:
            return self.lang.short_day(one.span.start_ms, self.zone)
        return self.lang.month(one.span.start_ms, self.zone)

    def known_part(self, report: Report) -> str:
        """`Data from Oct 25 to Oct 31: 7 of 31 days.`; empty: its first part is known."""
        known = [one for one in report.parts if one.coverage]
        if not known or known[0] is report.parts[0]:
            return ""
        is_month = periods.parse(report.period).month is not None
        if len(known) == 1:
            month, year = _DATA_OF_DAY, _DATA_OF_MONTH
        else:
            month, year = _DATA_OF_DAYS, _DATA_OF_MONTHS
        return self.lang.say(month if is_month else year).format(
            first=self.part(known[0]),
            last=self.part(known[-1]),
            known=self.lang.count(len(known)),
            all=self.lang.count(len(report.parts)),
        )

    def party(self, name: str) -> str:
        """Who has to answer for a cause."""
        return self.lang.say(PARTY_WORDS[name])  # type: ignore[index]

    def why(self, one: ReportedInterruption) -> str:
        """What the cause is concluded from; numbers of the store's own evidence stay English."""
        return "; ".join(self.lang.say(part) for part in evidence(one).split("; ") if part)

    def longest(self, report: Report) -> ReportedInterruption | None:
        """The interruption that took longest."""
        return max(report.interruptions, key=lambda one: one.lost_ms, default=None)


def _bounds(of: Availability) -> tuple[int, int] | None:
    """In tenths of a percent; None: they are nearly the same, or nothing is known."""
    if of.least is None or of.most is None or of.most - of.least < 1 / _TENTHS:
        return None
    return floor(of.least * _TENTHS + _ROUNDING), ceil(of.most * _TENTHS - _ROUNDING)


def evidence(one: ReportedInterruption) -> str:
    """What its cause is concluded from, in English; empty: nothing."""
    return one.evidence or _WHY.get(one.cause, "")


def known_interruptions(head: Headline) -> int | None:
    """None: nothing is known of the time."""
    of = head.availability
    return head.interruptions if of.available_ms or of.lost_ms else None


def traffic(use: Use) -> int | None:
    """Bytes both ways; None: not known."""
    if use.down_bytes is None or use.up_bytes is None:
        return None
    return use.down_bytes + use.up_bytes


def _sign(number: float) -> str:
    return "+" if number > 0 else "\N{MINUS SIGN}"
