"""The server's configuration file: what it gives, and what its errors say."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from titik_collector.config import model, schema
from titik_collector.config.model import Config, ConfigError

ROOT = Path(__file__).parents[2]
FILE = Path("/etc/titik/titik.toml")
LEAST = """
[city]
name = "kupang"
title = "Kota Kupang"
timezone = "Asia/Makassar"
[store]
path = "titik.db"
"""
SITE = """
[[site]]
name = "taman-tirosa"
title = "Taman Tirosa"
"""


def parse(text: str) -> Config:
    """A file of this text, in /etc/titik."""
    return model.parse(text.encode(), FILE)


def error(text: str) -> str:
    """What is reported about a file of this text."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return str(caught.value)


def test_the_least_file_is_a_city_and_a_store() -> None:
    """Everything else has a default."""
    least = parse(LEAST)
    assert ("kupang", ZoneInfo("Asia/Makassar")) == (least.city.name, least.city.timezone)
    assert (1, None, None, 5000, 60) == (
        least.store.messages_days,
        least.store.samples_days,
        least.store.minutes_days,
        least.store.max_samples_per_hour,
        least.store.max_runs_per_hour,
    )
    assert ("main", None, (), ()) == (
        least.collector.id,
        least.broker.directory,
        least.site,
        least.router,
    )


def test_relative_paths_start_at_the_file() -> None:
    """The same file means the same from every directory."""
    one = parse(LEAST + '[broker]\npassword_file = "/run/secret"\ndirectory = "broker"')
    assert Path("/etc/titik/titik.db") == one.store.path
    assert Path("/etc/titik/broker") == one.broker.directory
    assert Path("/run/secret") == one.broker.password_file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "city.name: is missing; give a name"),
        (
            "x = 1",
            "x: there is no such key; allowed: city, broker, collector, store, backup, web",
        ),
        ('file = "x"', "file: there is no such key; "),
        ('city = "kupang"', 'city: "kupang" is no table; write [city]'),
        ('[city]\nnme = "k"', "city.nme: there is no such key; did you mean name?"),
        ('[city]\nname = "Kupang"', 'city.name: "Kupang" is no such name; allowed: a name'),
        (
            '[city]\nname = "k"\ntitle = "K"\ntimezone = "Asia/Makasar"',
            'city.timezone: "Asia/Makasar" is no time zone (did you mean Asia/Makassar?); allowed:',
        ),
        (
            '[city]\nname = "k"\ntitle = "K"\ntimezone = "../../etc/passwd"',
            'city.timezone: "../../etc/passwd" is no time zone; allowed',
        ),
        (
            '[city]\nname = "k"\ntitle = ""\ntimezone = "UTC"',
            'city.title: "" does not fit; allowed: text in quotes, one line of 1 to 200 characters',
        ),
    ],
)
def test_what_is_wrong_with_the_city(text: str, expected: str) -> None:
    """File, key, what is wrong, what is allowed."""
    assert error(text).startswith(f"{FILE}: {expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[broker]\nport = 0", "broker.port: 0 is too small; allowed: a whole number from 1 to"),
        ("[broker]\nport = 65536", "broker.port: 65536 is too large; allowed: a whole number"),
        ("[broker]\nport = true", "broker.port: true is no whole number"),
        ("[broker]\nport = 1883.0", "broker.port: 1883.0 is no whole number"),
        ('[broker]\nport = "1883"', 'broker.port: "1883" is no whole number'),
        ('[broker]\npassword_file = ""', 'broker.password_file: "" is no path'),
        ("[broker]\nhost = 1", "broker.host: 1 is not text"),
        ('[broker]\nhost = "a\\nb"', 'broker.host: "a\\nb" does not fit'),
        ('[collector]\nid = "a/b"', 'collector.id: "a/b" is no such name'),
        (SITE + "latitude = 90.1", "site[0] (taman-tirosa).latitude: 90.1 is too large; allowed:"),
        (SITE + "latitude = nan", "site[0] (taman-tirosa).latitude: nan is no number"),
        (SITE + SITE + SITE.replace("title", "titel"), "site[2] (taman-tirosa).titel: there"),
        (SITE + SITE, 'site[1].name: "taman-tirosa" is site[0] already; allowed: each name once'),
        (SITE + "uplink_mbps = -5", "site[0] (taman-tirosa).uplink_mbps: -5 is too small; allow"),
        (
            SITE + 'hours = "Mo-Fr 8-17"',
            "site[0] (taman-tirosa).hours: '8-17' is no time from and to (08:00-17:00); allowed:"
            ' hours such as "Mo-Fr 08:00-17:00; Sa 08:00-12:00", "16:00-02:00"',
        ),
        (SITE + "tier = 0", "site[0] (taman-tirosa).tier: 0 is too small; allowed: a whole number"),
        (SITE + 'tags = ["a b"]', 'site[0] (taman-tirosa).tags: "a b" is no such name; allowed: a'),
        (
            SITE + 'contact = ""',
            'site[0] (taman-tirosa).contact: "" does not fit; allowed: text in',
        ),
        ("[site]\nname = 1", "site: does not fit; at most 10000 tables, [[site]] each"),
        ('[[router]]\nname = "a"', "router[0] (a).site: is missing; give a name"),
        (
            SITE + '[[router]]\nname = "a"\nsite = "taman-tirosas"',
            'router[0].site: there is no site "taman-tirosas" for a; did you mean',
        ),
        (
            '[[router]]\nname = "a"\nsite = "b"',
            'router[0].site: there is no site "b" for a; add a [[site]] first',
        ),
        (
            SITE + '[[router]]\nname = "collector"\nsite = "taman-tirosa"',
            'router[0].name: "collector" is the collector\'s user at the broker; name the router',
        ),
        (
            SITE + '[[router]]\nname = "a"\nsite = "taman-tirosa"\nsince = "yesterday"',
            'router[0] (a).since: "yesterday" is no date or time; allowed: a date or time without',
        ),
        (
            SITE + '[[router]]\nname = "a"\nsite = "taman-tirosa"\nsince = 0001-01-01',
            "router[0] (a).since: the year 1 is outside 1971 to 9998",
        ),
    ],
)
def test_what_is_wrong_elsewhere(text: str, expected: str) -> None:
    """The path of a table's row counts from 0, and names it."""
    assert error(LEAST + text).startswith(f"{FILE}: {expected}")


def test_a_syntax_error_names_its_line() -> None:
    """What TOML itself does not allow is found by line and column."""
    assert "(at line 8, column 8)" in error(LEAST + "[broker\n")


def test_a_decimal_comma_is_reported_as_one() -> None:
    """Many countries write numbers so."""
    site = '[[site]]\nname = "a"\ntitle = "A"\nlatitude = -10,1655\n'
    assert error(LEAST + site).endswith("; write -10.1655, with a point")


def test_a_file_that_is_not_utf8_names_its_line() -> None:
    """An editor's wrong encoding is reported as such."""
    with pytest.raises(ConfigError, match="line 2: is not UTF-8; save the file as UTF-8"):
        model.parse(b"# a\n# \xff\n", FILE)


def test_minutes_are_kept_as_long_as_samples() -> None:
    """Else a sample that comes late would leave an hour of what little is left."""
    with pytest.raises(ConfigError) as caught:
        parse(f"{LEAST}minutes_days = 7\n")
    output = "store.minutes_days: 7 is less than store.samples_days, 8; allowed: from 8 on"
    assert output in str(caught.value)
    assert 8 == parse(f"{LEAST}minutes_days = 8\n").store.minutes_days


def test_nesting_does_not_crash() -> None:
    """A hostile file is an error like any other."""
    with pytest.raises(ConfigError):
        model.parse(b"x = " + b"[" * 100_000, FILE)


def test_a_missing_file_is_reported_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option that names another is part of the message, and an installed city its value."""
    monkeypatch.setattr(model, "ETC", tmp_path / "etc")
    with pytest.raises(ConfigError, match="No such file or directory; name another with --config"):
        model.load(tmp_path / "titik.toml")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/titik.toml").touch()
    with pytest.raises(ConfigError) as caught:
        model.load(tmp_path / "titik.toml")
    assert str(caught.value).endswith(f"machine: --config {tmp_path}/etc/titik.toml")


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-11-23", 1795363200000),  # midnight of the city
        ("2026-11-23T08:00:00", 1795392000000),
        ("2026-11-23T08:00:00+08:00", 1795392000000),
        ("2026-11-23T00:00:00.250Z", 1795392000250),
    ],
)
def test_since_without_an_offset_is_the_citys_time(since: str, expected: int) -> None:
    """Makassar is 8 hours ahead of UTC."""
    text = f'{LEAST}{SITE}[[router]]\nname = "a"\nsite = "taman-tirosa"\nsince = {since}'
    one = parse(text)
    assert expected == one.since_ms(one.router[0])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Titik.Example.org:443", "https://titik.example.org"),
        ("HTTP://titik.example.org:80/", "http://titik.example.org"),
        ("https://titik.example.org:8443", "https://titik.example.org:8443"),
        ("http://titik.example.org:443", "http://titik.example.org:443"),
    ],
)
def test_an_address_is_as_browsers_send_it(url: str, expected: str) -> None:
    """In lower case, without the port of its scheme."""
    assert expected == parse(f'{LEAST}[web]\nurl = "{url}"').web.url


PAGE_OF_OTHERS = (
    "can be reached by other machines, and what they send could be read; give web.tls_cert"
)


@pytest.mark.parametrize(
    ("web", "expected"),
    [
        ('host = "0.0.0.0"', f"host: 0.0.0.0 {PAGE_OF_OTHERS}"),
        ('host = "::"', f"host: :: {PAGE_OF_OTHERS}"),
        ('host = "192.168.1.5"', f"host: 192.168.1.5 {PAGE_OF_OTHERS}"),
        ('host = "titik.example.org"', f"host: titik.example.org {PAGE_OF_OTHERS}"),
        ('host = "0.0.0.0"\ntls_cert = "a"', "tls_key: is missing; give web.tls_cert and web.tls_"),
        (
            'identity_header = "X-Forwarded-User"',
            "identity_header: would be believed from anybody; give web.trusted_proxies",
        ),
    ],
)
def test_a_page_that_would_be_unsafe_is_refused(web: str, expected: str) -> None:
    """Passwords that others could read, and names that anybody could send."""
    assert error(f"{LEAST}[web]\n{web}").startswith(f"{FILE}: web.{expected}")


@pytest.mark.parametrize(
    "web",
    [
        'host = "0.0.0.0"\ninsecure = true',
        'host = "0.0.0.0"\ntls_cert = "a"\ntls_key = "b"',
        'host = "localhost"',
        'host = "::1"',
        'trusted_proxies = ["127.0.0.1"]\nidentity_header = "X-Forwarded-User"',
    ],
)
def test_a_page_that_is_safe_or_wanted_so_is_accepted(web: str) -> None:
    """With a certificate, on this machine alone, or because the operator wrote it."""
    assert parse(f"{LEAST}[web]\n{web}").web != parse(LEAST).web


@pytest.mark.parametrize(
    ("directory", "expected"),
    [
        ("/var/lib/titik/broker", "public.directory: /var/lib/titik/broker is the city's own, and"),
        (
            "../../var/lib/titik/broker/ca",
            "ca is in /var/lib/titik/broker, and anybody may read it",
        ),
        ("/var/lib/titik/", "/var/lib/titik has /var/lib/titik/broker in it, and anybody may rea"),
        (".", "/etc/titik has /etc/titik/titik.toml in it, and anybody may read it; name a folder"),
        ("keys", "keys has /etc/titik/keys/mail in it"),
        ("/var/lib/titik-backups/public", "is in /var/lib/titik-backups, and"),
    ],
)
def test_a_public_folder_is_apart_from_the_city_s(directory: str, expected: str) -> None:
    """It is none of the folders that the file names, in none, and around none."""
    named = '[broker]\ndirectory = "/var/lib/titik/broker"\npassword_file = "keys/mail"\n'
    named += f'[public]\ndirectory = "{directory}"\n'
    assert expected in error(LEAST + named)


def test_a_public_folder_beside_the_store_is_fine() -> None:
    """As in docs/web.md; and its name may begin as another's does."""
    for directory in ("public", "/var/lib/titik/broker-public", "/var/lib/titik-public"):
        text = (
            f'[broker]\ndirectory = "/var/lib/titik/broker"\n[public]\ndirectory = "{directory}"\n'
        )
        assert FILE.parent / directory == parse(LEAST + text).public.directory


def test_the_example_is_the_citys_ten_hotspots() -> None:
    """examples/kupang.toml is right, and every site has a router."""
    kupang = model.load(ROOT / "examples" / "kupang.toml")
    assert 10 == len(kupang.site)
    assert {one.name for one in kupang.site} == {one.site for one in kupang.router}
    for site in kupang.site:
        assert site.latitude is not None
        assert site.longitude is not None
        assert -10.3 < site.latitude < -10.1
        assert 123.5 < site.longitude < 123.7
        assert site.capacity
        assert site.uplink_mbps
        assert None not in (site.provider, site.circuit, site.district, site.power, site.contact)
        assert site.tier
        assert site.tags


def declared(cls: Any, path: str = "") -> list[str]:
    """Every key path of a dataclass."""
    rows = []
    for line in schema.document(cls).splitlines():
        if line.startswith("### "):
            path = line.strip("#` []")
        elif line.startswith("| `"):
            rows.append(f"{path}.{line.split('`')[1]}")
    return rows


def test_every_key_is_documented_once() -> None:
    """No key is without a row, and none has two."""
    keys = declared(Config)
    assert len(keys) == len(set(keys))
    assert {"city.name", "broker.ca_file", "store.minutes_days", "router.since"} <= set(keys)


SERVER = 'url = "postgresql://titik@db.example/city"'


def test_a_store_may_be_on_a_server() -> None:
    """Then what the collector keeps beside its store is beside the configuration."""
    one = parse(LEAST.replace('path = "titik.db"', SERVER))
    assert (None, "titik") == (one.store.path, one.store.schema)
    assert Path("/etc/titik/titik") == one.beside


def of(servers: str) -> str:
    """A store there."""
    return SERVER.replace("db.example/city", servers)


@pytest.mark.parametrize(
    "servers",
    [
        "db-1,db-2,db-3/city",
        "db-1:5433,[fd00::1]:5433/city?target_session_attrs=read-write",
        "/city?host=/run/a,/run/b&port=5433,5434&target_session_attrs=primary",
        "/city?host=127.0.0.1,127.0.0.1&port=5433,5434",
    ],
)
def test_a_store_may_be_on_one_of_several_servers(servers: str) -> None:
    """Whichever takes writes."""
    one = parse(LEAST.replace('path = "titik.db"', of(servers)))
    assert f"postgresql://titik@{servers}" == one.store.url


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        ("", "store.path: is missing; give one of store.path and store.url"),
        (f'path = "a"\n{SERVER}', "store.path: is given, and so is store.url; give one of"),
        (
            f'{SERVER}\nschema = "{64 * "a"}"',
            f"store.schema: {64 * 'a'} has more than 63 characters; allowed: a name",
        ),
        ('path = "a"\npassword_file = "b"', "store.password_file: is of no use to a file; "),
        ('url = "mysql://x"', "store.url: is of no engine that is known; allowed: postgresql://"),
        (SERVER.replace("@", ":x@"), "store.url: has a password in it; put it into a file of"),
        (SERVER.replace("city", "c?password=x"), "store.url: has a password in it; put it"),
        (of("db-1,,db-3/city"), "store.url: has a comma without a host beside it; allowed: "),
        (of("/city?host=a,"), "store.url: has a comma without a host beside it; allowed: "),
        (of("db-1,db-2,db-1/city"), "store.url: names db-1 twice; allowed: "),
        (of("a,b,c,d,e,f/city"), "store.url: names 6 servers; allowed: up to 5"),
        (
            of("a,b/city?target_session_attrs=any"),
            "store.url: asks several servers for any, which may take no writes; leave",
        ),
    ],
)
def test_a_store_is_in_one_place(store: str, expected: str) -> None:
    """And no password is in the file."""
    text = LEAST.replace('path = "titik.db"', store)
    assert error(text).startswith(f"{FILE}: {expected}")
