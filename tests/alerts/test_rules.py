"""Each rule, with what it finds of one router, one site or the server."""

from dataclasses import replace

import pytest

from tests.alerts.cities import MIN, NOON_MS, SERVER, H, city, router, site
from titik_collector.alerts import rules
from titik_collector.alerts.alert import Alert, AlertKey, AlertSubject, Kind
from titik_collector.alerts.alert_settings import RuleSetting
from titik_collector.alerts.facts import LiveRouter, LiveSite
from titik_collector.alerts.rules import FALSE, TRUE, UNKNOWN, Finding

OLD_MS = NOON_MS - H
GIB = 1 << 30
PARK = AlertSubject("router", "park")


def raised(kind: Kind, value: float | None = None) -> Alert:
    """An alert that fires."""
    key = AlertKey(kind, PARK)
    return Alert(key=key, phase="firing", known=True, since_ms=OLD_MS, value=value)


def other(**changes: object) -> LiveRouter:
    """A second router of the park."""
    return router("park-2", "park", **changes)


OF_ROUTERS: list[tuple[Kind, dict[str, object], list[LiveRouter], Alert | None, Finding]] = [
    ("router-offline", {}, [other()], None, FALSE),
    ("router-offline", {"state": "offline", "since_ms": 7}, [other()], None, Finding(True, 7)),
    ("router-offline", {"state": "silent", "since_ms": 7}, [other()], None, Finding(True, 7)),
    ("router-offline", {"state": "unknown"}, [other()], None, UNKNOWN),
    ("router-offline", {"state": "offline", "in_doubt": True}, [other()], None, UNKNOWN),
    ("router-offline", {"state": "offline"}, [], None, FALSE),  # it is the whole site
    ("router-offline", {"state": "offline"}, [other(state="silent")], None, FALSE),
    (
        "router-offline",  # that its site went too ends nothing
        {"state": "offline"},
        [other(state="offline")],
        raised("router-offline"),
        UNKNOWN,
    ),
    ("no-internet", {"internet": True}, [], None, FALSE),
    ("no-internet", {"internet": False, "internet_since_ms": 7}, [], None, Finding(True, 7)),
    ("no-internet", {"internet": None}, [], None, UNKNOWN),
    ("no-internet", {"internet": False, "state": "offline"}, [], None, UNKNOWN),
    ("wifi-unreadable", {"unreadable": False}, [], None, FALSE),
    ("wifi-unreadable", {"unreadable": True}, [], None, TRUE),
    ("wifi-unreadable", {"unreadable": None}, [], None, UNKNOWN),
    ("wifi-unreadable", {"unreadable": True, "state": "silent"}, [], None, UNKNOWN),
    ("hot", {"temperature_c": 84.9}, [], None, FALSE),
    ("hot", {"temperature_c": 85.0}, [], None, Finding(True, None, 85.0)),
    ("hot", {"temperature_c": 76.0}, [], raised("hot"), Finding(True, None, 76.0)),
    ("hot", {"temperature_c": 74.9}, [], raised("hot"), FALSE),
    ("hot", {"temperature_c": None}, [], raised("hot"), UNKNOWN),
    ("hot", {"temperature_c": 90.0, "state": "offline"}, [], None, UNKNOWN),
    ("samples-lost", {"lost": 0}, [], None, FALSE),
    ("samples-lost", {"lost": 3}, [], None, Finding(True, None, 3, is_mark=True)),
    ("samples-lost", {"lost": 3}, [], raised("samples-lost", 3), FALSE),
    (
        "samples-lost",
        {"lost": 5},
        [],
        raised("samples-lost", 3),
        Finding(True, None, 5, True, True),
    ),
    ("samples-lost", {"lost": None}, [], None, UNKNOWN),
]


@pytest.mark.parametrize(("kind", "changes", "others", "before", "found"), OF_ROUTERS)
def test_what_a_rule_finds_of_a_router(
    kind: Kind,
    changes: dict[str, object],
    others: list[LiveRouter],
    before: Alert | None,
    found: Finding,
) -> None:
    """True, false or not known, since when, and which figure it was."""
    park = router("park", **changes)
    place = rules.places_of(city(NOON_MS, [park, *others]))["park"]
    assert found == rules.OF_ROUTERS[kind](park, place, rules.DEFAULTS[kind], before)


HALL = site("park", capacity=50, uplink_mbps=20.0)
QUIET = replace(HALL, without_clients_ms=H, usual_clients=12.0)
SOON_MS = round(rules.DEFAULTS["radio-stuck"].threshold) * MIN
PENDING = replace(raised("radio-stuck"), phase="pending")
UP, DOWN, AWAY = router("park"), router("park", state="offline", since_ms=7), other(state="silent")
OF_SITES: list[tuple[Kind, LiveSite, list[LiveRouter], Alert | None, Finding]] = [
    ("site-offline", HALL, [UP], None, FALSE),
    ("site-offline", HALL, [DOWN], None, Finding(True, 7)),
    ("site-offline", HALL, [DOWN, other(state="silent", since_ms=9)], None, Finding(True, 9)),
    ("site-offline", HALL, [DOWN, other()], None, FALSE),
    ("site-offline", HALL, [DOWN, other(state="unknown")], None, UNKNOWN),
    ("site-offline", HALL, [DOWN, other(state="offline", in_doubt=True)], None, UNKNOWN),
    ("site-offline", HALL, [], None, UNKNOWN),
    ("radio-stuck", QUIET, [UP], None, Finding(True, None, 12.0)),  # empty before is no fault
    ("radio-stuck", QUIET, [UP], raised("radio-stuck"), Finding(True, NOON_MS - H, 12.0)),
    ("radio-stuck", QUIET, [DOWN], None, UNKNOWN),
    (
        "radio-stuck",
        replace(QUIET, without_clients_ms=SOON_MS),
        [UP],
        None,
        Finding(True, None, 12.0),
    ),
    ("radio-stuck", replace(QUIET, without_clients_ms=SOON_MS - 1), [UP], None, FALSE),
    ("radio-stuck", replace(QUIET, without_clients_ms=0), [UP], raised("radio-stuck"), FALSE),
    ("radio-stuck", replace(QUIET, usual_clients=9.5), [UP], None, FALSE),
    ("radio-stuck", replace(QUIET, usual_clients=9.5), [UP], PENDING, FALSE),
    ("radio-stuck", replace(QUIET, usual_clients=2.0), [UP], raised("radio-stuck"), UNKNOWN),
    ("radio-stuck", replace(QUIET, usual_clients=None), [UP], None, UNKNOWN),
    ("radio-stuck", replace(QUIET, without_clients_ms=None), [UP], None, UNKNOWN),
    ("crowded", replace(HALL, clients_mean=49.0), [UP], None, FALSE),
    ("crowded", replace(HALL, clients_mean=50.0), [UP], None, Finding(True, None, 1.0)),
    (
        "crowded",
        replace(HALL, clients_mean=45.0),
        [UP],
        raised("crowded"),
        Finding(True, None, 0.9),
    ),
    ("crowded", replace(HALL, clients_mean=42.0), [UP], raised("crowded"), FALSE),
    ("crowded", replace(HALL, clients_mean=None), [UP], None, UNKNOWN),
    ("crowded", replace(HALL, clients_mean=99.0, capacity=None), [UP], None, UNKNOWN),
    ("uplink-full", replace(HALL, uplink_down_bps=17.9e6), [UP], None, FALSE),
    ("uplink-full", replace(HALL, uplink_down_bps=18e6), [UP], None, Finding(True, None, 0.9)),
    ("uplink-full", replace(HALL, uplink_down_bps=14e6), [UP], raised("uplink-full"), FALSE),
    (
        "uplink-full",
        replace(HALL, uplink_down_bps=16e6),
        [UP],
        raised("uplink-full"),
        Finding(True, None, 0.8),
    ),
    ("uplink-full", replace(HALL, uplink_down_bps=19e6, uplink_mbps=None), [UP], None, UNKNOWN),
]


@pytest.mark.parametrize(("kind", "place", "routers", "before", "found"), OF_SITES)
def test_what_a_rule_finds_of_a_site(
    kind: Kind, place: LiveSite, routers: list[LiveRouter], before: Alert | None, found: Finding
) -> None:
    """What nobody configured is not known, and a figure ends below where it began."""
    present = rules.places_of(city(NOON_MS, routers, [place]))["park"]
    assert found == rules.OF_SITES[kind](present, rules.DEFAULTS[kind], before, NOON_MS)


OF_SERVER: list[tuple[Kind, dict[str, object], Alert | None, Finding]] = [
    ("broker-down", {}, None, FALSE),
    ("broker-down", {"connected": False, "disconnected_since_ms": 7}, None, Finding(True, 7)),
    ("store-failing", {}, None, FALSE),
    ("store-failing", {"storing": False, "store_failed_ms": 7}, None, Finding(True, 7)),
    ("disk-low", {}, None, UNKNOWN),
    ("disk-low", {"disk_free_ratio": 0.11, "disk_free_bytes": 9 * GIB}, None, FALSE),
    ("disk-low", {"disk_free_ratio": 0.09}, None, Finding(True, None, 0.09)),
    ("disk-low", {"disk_free_ratio": 0.5, "disk_free_bytes": GIB}, None, Finding(True, None, 0.5)),
    ("disk-low", {"disk_free_ratio": 0.14}, raised("disk-low"), Finding(True, None, 0.14)),
    ("disk-low", {"disk_free_ratio": 0.15}, raised("disk-low"), FALSE),
    ("certificate-ending", {}, None, UNKNOWN),
    ("certificate-ending", {"certificate_days": 60}, None, FALSE),
    ("certificate-ending", {"certificate_days": 59}, None, Finding(True, None, 59)),
    ("backup-missing", {}, None, UNKNOWN),
    ("backup-missing", {"backup_wanted": False}, None, FALSE),
    ("backup-missing", {"backup_wanted": False, "collected_ms": NOON_MS - 23 * H}, None, FALSE),
    ("backup-missing", {"backup_wanted": False, "collected_ms": NOON_MS - 24 * H}, None, TRUE),
    ("backup-missing", {"backup_wanted": True, "collected_ms": NOON_MS - 24 * H}, None, TRUE),
    ("backup-missing", {"backup_wanted": True, "backup_ms": 1, "collected_ms": 1}, None, FALSE),
    ("backup-unverified", {}, None, UNKNOWN),
    ("backup-unverified", {"backup_wanted": True, "collected_ms": 1}, None, FALSE),
    ("backup-unverified", {"backup_wanted": True}, raised("backup-unverified"), UNKNOWN),
    (
        "backup-unverified",
        {"backup_wanted": True, "backup_ms": 1, "collected_ms": NOON_MS - 239 * H},
        None,
        FALSE,
    ),
    (
        "backup-unverified",
        {"backup_wanted": True, "backup_ms": 1, "collected_ms": NOON_MS - 240 * H},
        None,
        TRUE,
    ),
    (
        "backup-unverified",
        {"backup_wanted": True, "backup_ms": 1, "verified_ms": NOON_MS - 240 * H},
        None,
        FALSE,
    ),
    (
        "backup-unverified",
        {"backup_wanted": True, "backup_ms": 1, "verified_ms": NOON_MS - 264 * H},
        None,
        Finding(True, NOON_MS - 264 * H, 11.0),
    ),
    (
        "backup-unverified",
        {
            "backup_wanted": True,
            "backup_ms": 1,
            "verified_ms": NOON_MS - 24 * H,
            "verified_well": False,
        },
        None,
        Finding(True, NOON_MS - 24 * H, 1.0),
    ),
    ("backup-old", {}, None, UNKNOWN),
    ("backup-old", {"backup_wanted": True, "collected_ms": 1}, None, FALSE),
    ("backup-old", {"backup_wanted": True}, raised("backup-old"), UNKNOWN),  # none is no new one
    ("backup-old", {"backup_wanted": True, "backup_ms": NOON_MS - 36 * H}, None, FALSE),
    (
        "backup-old",
        {"backup_wanted": True, "backup_ms": NOON_MS - 37 * H},
        None,
        Finding(True, NOON_MS - 37 * H, 37.0),
    ),
    ("line-down", {}, None, FALSE),
    ("line-down", {"line_down_since_ms": 7}, None, Finding(True, 7)),
    ("copied-city", {}, None, FALSE),
    ("copied-city", {"is_copy": True}, None, TRUE),
    ("upgrade-halted", {}, None, FALSE),
    ("upgrade-halted", {"upgrade_halted_ms": 7, "upgrade_failed": 2}, None, Finding(True, 7, 2)),
    ("store-alone", {}, None, UNKNOWN),
    ("store-alone", {"is_store_alone": False}, None, FALSE),
    ("store-alone", {"is_store_alone": True}, None, TRUE),
    ("unknown-router", {}, None, UNKNOWN),
    ("unknown-router", {"unknown_routers": 0}, None, FALSE),
    ("unknown-router", {"unknown_routers": 2}, None, Finding(True, None, 2)),
]


@pytest.mark.parametrize(("kind", "changes", "before", "found"), OF_SERVER)
def test_what_a_rule_finds_of_the_server(
    kind: Kind, changes: dict[str, object], before: Alert | None, found: Finding
) -> None:
    """The collector about itself and its machine."""
    server = replace(SERVER, **changes)  # type: ignore[arg-type]
    assert found == rules.OF_SERVER[kind](server, rules.DEFAULTS[kind], before, NOON_MS)


def test_each_rule_has_its_cases() -> None:
    """A new rule without cases here fails."""
    have = {case[0] for table in (OF_ROUTERS, OF_SITES, OF_SERVER) for case in table}
    assert set(rules.DEFAULTS) == have | {"group-outage", "flapping"}


def test_a_rule_is_configured_key_by_key() -> None:
    """What is not configured is as shipped, and a rule that is off is none."""
    found = rules.rules_of(
        [RuleSetting("hot", for_s=60, threshold=70), RuleSetting("crowded", False)]
    )
    assert "crowded" not in found
    assert rules.DEFAULTS["hot"]._replace(for_ms=MIN, threshold=70) == found["hot"]
