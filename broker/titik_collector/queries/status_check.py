"""`titik status --check`: one line and an exit status for Nagios, Icinga, cron or a script.

The convention is that of the monitoring plugins: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN; behind
the bar is performance data, `label=value;warning;critical;minimum;maximum`.
Rule: pure. A server that fails is critical and hides the rest, because the rest is not known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from titik_collector.limits import MAX_PAGED
from titik_collector.queries.server_warnings import Server
from titik_collector.queries.status import CityStatus, RouterStatus

OK, WARNING, CRITICAL, UNKNOWN = range(4)
NAMES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
AWAY = ("offline", "silent")
UNTESTED = "or the server's own line is cut; to know it, set line in [alerts]"


@dataclass(frozen=True, slots=True)
class Limits:
    """From which figure on a check warns, and is critical; 0 switches one off."""

    away: int  # routers that are offline or silent
    away_critical: int
    lost: int  # samples lost in 24 hours
    cert_days: int


def check(city: CityStatus, server: Server, limits: Limits) -> tuple[int, str]:
    """The exit status and the line."""
    if server.fails:
        found = [(CRITICAL, one.text) for one in server.warnings if one.level == "critical"]
    else:
        found = list(_found(city, server, limits))
    code = max((level for level, _ in found), default=OK)
    texts = [text for level, text in sorted(found, key=lambda one: -one[0])]
    now = city.line.now
    well = f"{now.routers_online} of {now.routers_known} routers online"
    return code, f"{line(code, '; '.join(texts) or well)} | {_data(city, server, limits)}"


def blind(causes: Sequence[str], errors: Sequence[str]) -> tuple[int, str]:
    """Where the store cannot be read: critical if the server itself reports why."""
    code = CRITICAL if causes else UNKNOWN
    return code, line(code, "; ".join([*causes, *errors]))


def line(code: int, text: str) -> str:
    """One line, whatever the text holds."""
    return f"TITIK {NAMES[code]} - {' '.join(text.replace('|', '/').split())}"


def _found(city: CityStatus, server: Server, limits: Limits) -> Iterator[tuple[int, str]]:
    now = city.line.now
    if now.routers_known and not now.routers_online:
        untested = "" if server.is_line_tested else f" ({UNTESTED})"
        yield CRITICAL, f"none of {now.routers_known} routers is online{untested}"
    else:
        dark = [
            site.line.title for site in city.sites if site.routers and not site.now.routers_online
        ]
        if dark:
            yield CRITICAL, f"{_many(dark, 'site')} without a router online: {_names(dark)}"
        yield from _away(city, limits)
    unheard = [one.name for one in city.routers() if one.now.state == "unknown"]
    if unheard and now.routers_online:
        yield WARNING, f"{_many(unheard, 'router')} not heard: {_names(unheard)}"
    blind = [f"{one.name} ({', '.join(one.failed)})" for one in city.routers() if _is_blind(one)]
    if blind:
        yield WARNING, f"{_many(blind, 'router')} cannot read a source: {_names(blind)}"
    lost = city.line.lost_today
    if limits.lost and lost >= limits.lost:
        yield WARNING, f"{lost:,} samples lost in 24 h"
    days = server.expires_days
    if limits.cert_days and days is not None and days < limits.cert_days:
        yield WARNING, f"a certificate ends in {days} days"
    for one in server.warnings:
        yield WARNING, one.text


def _away(city: CityStatus, limits: Limits) -> Iterator[tuple[int, str]]:
    away = [_named(one) for one in city.routers() if _is_away(one)]
    if limits.away_critical and len(away) >= limits.away_critical:
        yield CRITICAL, f"{_many(away, 'router')} away: {_names(away)}"
    elif limits.away and len(away) >= limits.away:
        yield WARNING, f"{_many(away, 'router')} away: {_names(away)}"


def _is_away(one: RouterStatus) -> bool:
    """A router whose access was revoked is meant to be away."""
    return one.now.state in AWAY and not one.now.revoked


def _is_blind(one: RouterStatus) -> bool:
    """It reports, but without what the source counts."""
    return bool(one.failed) and one.now.state == "online"


def _named(one: RouterStatus) -> str:
    return f"{one.name} ({one.cause})" if one.cause else one.name


def _many(found: list[str], what: str) -> str:
    return f"{len(found)} {what}{'' if len(found) == 1 else 's'}"


def _names(found: list[str]) -> str:
    more = f" and {len(found) - MAX_PAGED} more" if len(found) > MAX_PAGED else ""
    return ", ".join(found[:MAX_PAGED]) + more


def _data(city: CityStatus, server: Server, limits: Limits) -> str:
    now = city.line.now
    away = sum(_is_away(one) for one in city.routers())
    data = [
        f"routers_online={now.routers_online};;;0;{now.routers_known}",
        f"routers_away={away};{_over(limits.away)};{_over(limits.away_critical)};0;"
        f"{now.routers_known}",
        f"lost_24h={city.line.lost_today};{_over(limits.lost)};;0;",
    ]
    if now.clients is not None:
        data.append(f"clients={now.clients};;;0;")
    if server.expires_days is not None:
        data.append(f"cert_days={server.expires_days};{limits.cert_days}:;;;")
    if server.state is not None:
        data.append(f"behind={server.state.behind_ms // 1000}s;;;0;")
    return " ".join(data)


def _over(limit: int) -> str:
    """A range of the convention: a value above it warns."""
    return str(limit - 1) if limit else ""
