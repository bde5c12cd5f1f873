"""What the configuration says of alerts: what it gives to the rules, and what its errors say."""

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.collector.test_config import FILE, LEAST, SITE, error, parse
from titik_collector.alerts.alert_settings import AlertSettings, Hours, Rota, Route, RuleSetting
from titik_collector.config import alert_tables
from titik_collector.config.alert_tables import AlertRoute, AlertRule, Alerts
from titik_collector.config.model import Config, ConfigError
from titik_collector.config.site_tables import Site

ZONE = ZoneInfo("Asia/Makassar")
PLACE = SITE + 'district = "Kelapa Lima"\nprovider = "Telkom"\n'
SITES = (Site(name="taman-tirosa", title="T", district="Kelapa Lima", provider="Telkom"),)


def whole(text: str) -> Config:
    return parse(LEAST + text)


def wrong(text: str) -> str:
    """What is reported, without the file."""
    return error(LEAST + text).removeprefix(f"{FILE}: ")


def wrong_route(route: AlertRoute) -> str:
    """What is reported of one, in a city with one site and one receiver."""
    with pytest.raises(ConfigError) as caught:
        alert_tables.check_alerts(FILE, (), (route,), SITES, ("dinas",))
    return str(caught.value).removeprefix(f"{FILE}: ")


def test_without_a_word_about_alerts_they_are_as_shipped() -> None:
    """At night warnings wait, and the summary comes at eight."""
    assert AlertSettings(zone=ZONE) == whole("").alert_settings
    assert Alerts() == whole("").alerts


def test_hours_are_of_a_day_of_the_city() -> None:
    """They may pass midnight, or never be."""
    given = whole('[alerts]\nquiet = "23:30-05:00"\nmorning = "06:15"\ndigest = "09:00"')
    assert (Hours(23 * 60 + 30, 5 * 60), 375, 540) == (
        given.alert_settings.quiet,
        given.alert_settings.morning_min,
        given.alert_settings.digest_min,
    )
    never = whole('[alerts]\nquiet = "never"').alert_settings
    assert (Hours(0, 0), 0) == (never.quiet, never.morning_min)


def test_a_rule_is_other_than_shipped_where_the_file_says_so() -> None:
    """Minutes become seconds; the folder of backups starts at the file."""
    given = whole(
        '[alerts]\nbackup = "backups"\n'
        '[[alert]]\nkind = "site-offline"\nfor_minutes = 2.5\nkeep_minutes = 1\n'
        'severity = "warning"\n[[alert]]\nkind = "crowded"\nthreshold = 1.2\nclear = 0.9\n'
        '[[alert]]\nkind = "hot"\non = false'
    )
    assert Path("/etc/titik/backups") == given.alerts.backup
    assert (
        RuleSetting("site-offline", for_s=150, keep_s=60, severity="warning"),
        RuleSetting("crowded", threshold=1.2, clear=0.9),
        RuleSetting("hot", is_on=False),
    ) == given.alert_settings.rules


def test_a_route_says_who_gets_what() -> None:
    """Without any, each receiver gets every message."""
    route = AlertRoute(
        receivers=("dinas",),
        severities=("critical",),
        kinds=("site-offline",),
        sites=("taman-tirosa",),
        districts=("Kelapa Lima",),
        providers=("Telkom",),
        escalate=(("dinas",),),
    )
    rota = Rota("piket", ("dinas",), 0)
    alert_tables.check_alerts(FILE, (), (route,), SITES, ("dinas",))
    given = alert_tables.settings_of(ZONE, Alerts(), (), (route,), (rota,), ("dinas",))
    assert (
        Route(
            ("dinas",),
            ("critical",),
            ("site-offline",),
            ("taman-tirosa",),
            ("Kelapa Lima",),
            ("Telkom",),
            (("dinas",),),
        ),
    ) == given.routes
    assert (rota,) == given.rotas
    without = alert_tables.settings_of(ZONE, Alerts(), (), (), (), ("dinas", "kepala"))
    assert (Route(("dinas", "kepala")),) == without.routes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[alerts]\nquiet = "22-6"', "alerts.quiet: '22' is no time of a day; allowed: two times"),
        ('[alerts]\nquiet = "22:00"', "alerts.quiet: '' is no time of a day; allowed: two times"),
        ('[alerts]\nquiet = "07:00-07:00"', "alerts.quiet: '07:00-07:00' has no length; allowed:"),
        ('[alerts]\nmorning = "24:00"', "alerts.morning: '24:00' is no time of a day; allowed: a"),
        ("[alerts]\nquite = true", "alerts.quite: there is no such key; did you mean quiet?"),
        (
            '[[alert]]\nkind = "site-down"',
            'alert[0].kind: there is no rule "site-down"; did you mean line-down?; allowed: the na',
        ),
        (
            '[[alert]]\nkind = "hot"\n[[alert]]\nkind = "hot"',
            "alert[1] (hot).kind: hot is alert[0] already; allowed: each kind once",
        ),
        (
            '[[alert]]\nkind = "site-offline"\nthreshold = 3',
            "alert[0] (site-offline).threshold: is of no use with site-offline; leave it out; it",
        ),
        (
            '[[alert]]\nkind = "flapping"\nthreshold = 5\nclear = 2',
            "alert[0] (flapping).clear: is of no use with flapping; leave it out; it is for crowd",
        ),
        (
            '[[alert]]\nkind = "crowded"\nthreshold = 90\nclear = 80',
            "alert[0] (crowded).threshold: 90 does not fit; allowed: visitors as a share of `capa",
        ),
        (
            '[[alert]]\nkind = "hot"\nthreshold = 90',
            "alert[0] (hot).clear: is missing; give threshold and clear together",
        ),
        (
            '[[alert]]\nkind = "hot"\nthreshold = 80\nclear = 90',
            "alert[0] (hot).clear: 90 is not below threshold, 80; give one below it, so that it",
        ),
        (
            '[[alert]]\nkind = "disk-low"\nthreshold = 0.2\nclear = 0.1',
            "alert[0] (disk-low).clear: 0.1 is not above threshold, 0.2; give one above it, so",
        ),
        (PLACE + "[[route]]\nreceivers = []", "route[0].receivers: has nobody; give at least one"),
        (
            PLACE + '[[route]]\nreceivers = ["dinas"]',
            'route[0].receivers: there is no receiver or rota "dinas"; add a [[receiver]] of that',
        ),
        (
            PLACE + '[[route]]\nreceivers = ["d"]\nseverities = []',
            'route[0].severities: a list is no list of them; allowed: a list of `"info"` or',
        ),
        (
            PLACE + '[[route]]\nreceivers = ["d"]\nescalate = [["a"], ["b"], ["c"]]',
            "route[0].escalate: does not fit; allowed: at most 2 steps, each a list of names",
        ),
    ],
)
def test_what_is_wrong_with_alerts(text: str, expected: str) -> None:
    """The key, what is wrong, what is allowed."""
    assert expected == wrong(text)[: len(expected)]


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (
            AlertRoute(receivers=("dina",)),
            'route[0].receivers: there is no receiver or rota "dina"; did you mean dinas?',
        ),
        (
            AlertRoute(receivers=("dinas",), escalate=(("x",),)),
            'route[0].escalate: there is no receiver or rota "x"; allowed: dinas',
        ),
        (
            AlertRoute(receivers=("dinas",), sites=("taman-tiros",)),
            'route[0].sites: there is no site "taman-tiros"; did you mean taman-tirosa?',
        ),
        (
            AlertRoute(receivers=("dinas",), districts=("Alak",)),
            'route[0].districts: no site has "Alak"; allowed: Kelapa Lima',
        ),
        (
            AlertRoute(receivers=("dinas",), providers=("Telkoms",)),
            'route[0].providers: no site has "Telkoms"; did you mean Telkom?',
        ),
    ],
)
def test_a_route_names_what_there_is(route: AlertRoute, expected: str) -> None:
    """A name that is typed wrong would reach nobody, and nobody would notice."""
    assert expected == wrong_route(route)


def test_where_no_site_has_a_district_the_remedy_is_to_give_one() -> None:
    """It names the key of the site."""
    route = AlertRoute(receivers=("dinas",), districts=("Alak",))
    bare = (replace(SITES[0], district=None),)
    with pytest.raises(ConfigError, match=r"has \"Alak\"; give a \[\[site\]\] its dist"):
        alert_tables.check_alerts(FILE, (AlertRule(kind="hot"),), (route,), bare, ("dinas",))
