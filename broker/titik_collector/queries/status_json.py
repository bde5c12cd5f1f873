"""`titik status --json`: the same answers for programs, documented in docs/operating.md.

Rule: fields are only added, until `v` rises. What is not known is absent, never null or zero.
Rule: `now` is the message of docs/wire.md, so a program reads one vocabulary.
"""

import json
from typing import Any

from titik_collector.queries.server_warnings import Server
from titik_collector.queries.settings_status import SettingsStatus, by_key
from titik_collector.queries.status import CityStatus, Line, RouterStatus, SiteStatus
from titik_collector.store.collecting import CollectorSession, StoreCollectors
from titik_wire import codec, instant

TERMS = ("taken", "stored", "refused", "lost", "in_spool")


def document(
    city: CityStatus,
    server: Server,
    one: SiteStatus | RouterStatus | None = None,
    who: StoreCollectors | None = None,
) -> dict[str, Any]:
    """Everything; or one router, or one site with its routers. `who` collects."""
    head = {"v": 1, "at": instant.to_text(city.at_ms)}
    if isinstance(one, RouterStatus):
        return {**head, "router": _router(one)}
    if one is not None:
        return {**head, "site": _site(one), "routers": [_router(router) for router in one.routers]}
    return {
        **head,
        "ok": not (city.warnings or any(one.problems for one in city.routers())),
        "server": _server(server) | ({} if who is None else _collectors(who)),
        "city": {
            **_line(city.line),
            "samples": dict(zip(TERMS, city.totals, strict=True)),
            "not_stored": dict(city.tallies),
        },
        "sites": [_site(one) for one in city.sites],
        "routers": [_router(one) for one in city.routers()],
        "versions": [_known(**one._asdict()) for one in city.versions()],
        "unregistered": [
            {"name": one.name, "messages": one.messages, "age_ms": one.age_ms}
            for one in city.unregistered
        ],
    }


def text(plain: dict[str, Any]) -> str:
    """As it is printed."""
    return json.dumps(plain, ensure_ascii=False, indent=1)


def _server(server: Server) -> dict[str, Any]:
    warnings = [{"level": one.level, "text": one.text} for one in server.warnings]
    found: dict[str, Any] = {"fails": server.fails, "warnings": warnings}
    state = server.state
    if state is not None:
        found |= {
            "connected": state.connected,
            "storing": state.storing,
            "since": instant.to_text(state.since_ms),
            "at": instant.to_text(state.at_ms),
            "behind_ms": state.behind_ms,
        }
        found |= _known(problem=state.problem)
    return found | _known(certificate_days=server.expires_days)


def _collectors(found: StoreCollectors) -> dict[str, Any]:
    holder = found.holder
    return {
        **_known(collector=None if holder is None else _collecting(holder)),
        "standbys": [_collecting(one) for one in found.standbys],
    }


def _collecting(one: CollectorSession) -> dict[str, Any]:
    since = instant.to_text(one.since_ms)
    return {"process": one.process, "machine": one.machine, "since": since}


def _site(one: SiteStatus) -> dict[str, Any]:
    facts = {name: value for name, value in one.facts._asdict().items() if value}
    return {
        **_line(one.line),
        **_known(facts=facts or None, open=one.is_open),
        "routers": [router.name for router in one.routers],
    }


def _router(one: RouterStatus) -> dict[str, Any]:
    return {
        **_line(one.line),
        **_known(
            site=one.site,
            since=instant.to_text(one.since_ms) if one.since_ms else None,
            cause=one.cause,
            version=one.version,
            firmware=one.firmware,
            model=one.model,
        ),
        **_known(settings=None if one.settings is None else _settings(one.settings)),
        "failed": list(one.failed),
        "problems": list(one.problems),
    }


def _settings(one: SettingsStatus) -> dict[str, Any]:
    """What is wished from a distance, what became of it, and what is in force."""
    return _known(
        state=one.state,
        since=None if one.since_ms is None else instant.to_text(one.since_ms),
        reason=one.reason,
        wish=None if one.wish is None else by_key(one.wish),
        in_force=None if one.in_force is None else by_key(one.in_force),
    )


def _line(one: Line) -> dict[str, Any]:
    now = json.loads(codec.encode(one.now))
    covered = None if one.coverage is None else round(one.coverage, 4)
    return {
        "name": one.now.name,
        "title": one.title,
        "now": {key: value for key, value in now.items() if key not in ("v", "scope", "name")},
        "lost": one.lost,
        "lost_24h": one.lost_today,
        **_known(coverage_ratio=covered, spooled=one.spooled),
    }


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
