"""The server's configuration: one TOML file, one frozen object, checked once when it is read.

Rule: every key is declared here and documented in docs/config.md from the same declaration.
Rule: what two keys say together is checked here too; nothing later meets a wrong configuration.
"""

import difflib
import hashlib
import ipaddress
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from titik_collector.config.schema import (
    ADDRESS,
    FILE,
    FLAG,
    HEADER,
    HOURS,
    MOMENT,
    NAME,
    SCHEMA,
    ZONE,
    Setting,
    Table,
    Tables,
    names,
    networks,
    one_of,
    read,
    real,
    text,
    whole,
)
from titik_collector.config.schema import ConfigError as ConfigError
from titik_collector.languages.codes import CODES as LANGUAGES
from titik_collector.limits import (
    MAX_CONFIG,
    MAX_NAMED,
    MAX_PROXIES,
    MAX_ROUTERS,
    MAX_SITES,
    MAX_TAGS,
)
from titik_mqtt.endpoint import LOOPBACK, PORT
from titik_wire import topics

DEFAULT_FILE = Path("titik.toml")
# Unless the file says otherwise.
COLLECTOR_USER = "collector"  # the collector's user at the broker
WEB_PORT = 8088  # of the page
_COMMA = re.compile(r"^\s*\w+\s*=\s*(-?\d+),(\d+)\s*$", re.MULTILINE)  # a decimal one
STATE_FOLDER = Path("/run/titik")  # memory: it can be written when every disk is full
SAMPLES_PER_HOUR, RUNS_PER_HOUR = 5000, 60  # taken of one router
# A week and the day that goes on, so an outage of a week is drawn whole; two weeks to compare.
SAMPLES_DAYS, MINUTES_DAYS = 8, 14
CAPACITY = 100  # of a simulated site
# Where a city lies that is not at home.
ETC, VAR = Path("/etc/titik"), Path("/var/lib/titik")
# Unless the command line says otherwise.
ENGINEER = "engineer"  # everybody's, until there are some by name
WINDOW, UNTIL, FORMAT, SUBJECT = "1h", "now", "csv", "city"
CURVE_SINCE, LIST_SINCE = "24h", "7d"
ROLE, LAST_CHANGES = "viewer", 100
AWAY, AWAY_CRITICAL, LOST, CERT_DAYS = 1, 0, 1, 60  # from which on `status --check` warns
SCREEN_S = 2.0  # between two screens of `titik top`
DEMO, EXAMPLE = Path("var/demo"), Path("examples/kupang.toml")
INTERVAL_S, FIRST_WAIT_S, SPEED, SEED = 30.0, 40.0, 1.0, 1  # of a simulation
# Of the demo, whose simulated day passes in 48 minutes.
DEMO_INTERVAL_S, DEMO_FIRST_WAIT_S, DEMO_SPEED = 5, 1.0, 30.0
DEMO_PAST_DAYS = 35  # so that a month is whole


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """[city]"""

    name: Annotated[str, Setting(NAME, "the city's name")]
    title: Annotated[str, Setting(text(), "the name people read")]
    timezone: Annotated[ZoneInfo, Setting(ZONE, "the days of daily rollups are this zone's")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """[broker]"""

    directory: Annotated[
        Path | None,
        Setting(
            FILE,
            "what `titik broker init` wrote; the other keys of this table are then taken from"
            " there, unless they are given here",
        ),
    ] = None
    host: Annotated[
        str | None,
        Setting(text(255), "the broker's name or address", f"the directory's, else `{LOOPBACK}`"),
    ] = None
    port: Annotated[
        int | None,
        Setting(
            whole(1, 65535), "the port of the collector's listener", f"the directory's, else {PORT}"
        ),
    ] = None
    username: Annotated[
        str | None,
        Setting(NAME, "the collector's user", f'the directory\'s, else `"{COLLECTOR_USER}"`'),
    ] = None
    password_file: Annotated[
        Path | None,
        Setting(FILE, "file with that user's password, mode 0600", "the directory's, else none"),
    ] = None
    ca_file: Annotated[
        Path | None,
        Setting(
            FILE, "certificate authorities (PEM) to check the broker with; if given, TLS is used"
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """[collector]"""

    id: Annotated[str, Setting(NAME, f"names this collector in `{topics.collector('<id>')}`")] = (
        "main"
    )
    state: Annotated[
        Path | None,
        Setting(
            FILE,
            "the file with the collector's own state, for `titik status`; best in memory, so that"
            " it can be written when the disk is full",
            f"in `{STATE_FOLDER}` if that can be written, else beside the store",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """[store]"""

    path: Annotated[
        Path | None,
        Setting(
            FILE, "the SQLite file; made if it is missing", "none; this or `url` has to be given"
        ),
    ] = None
    url: Annotated[
        str | None,
        Setting(
            text(1000),
            "in place of `path`: a database of PostgreSQL 15 or newer, such as"
            ' `"postgresql://titik@db.example/city"`, without a password',
        ),
    ] = None
    schema: Annotated[
        str,
        Setting(SCHEMA, "the schema of that database which is the store; made if it is missing"),
    ] = "titik"
    password_file: Annotated[
        Path | None,
        Setting(
            FILE,
            "file with the password of the url's user, mode 0600",
            "none; libpq then looks into PGPASSFILE",
        ),
    ] = None
    messages_days: Annotated[
        int,
        Setting(whole(1, 3650), "days that samples are kept as received, with every field"),
    ] = 1
    samples_days: Annotated[
        int | None,
        Setting(
            whole(2, 3650),
            "days that the figures of samples are kept; what arrives later is counted, not drawn",
            f"`{SAMPLES_DAYS}`; `30` in a store of an earlier version",
        ),
    ] = None
    minutes_days: Annotated[
        int | None,
        Setting(
            whole(2, 3650),
            "days that `1m` rollups are kept; at least `samples_days`",
            f"`{MINUTES_DAYS}`, or `samples_days` if more; `90` in a store of an earlier version",
        ),
    ] = None
    max_samples_per_hour: Annotated[
        int,
        Setting(
            whole(120, 1_000_000),
            "new samples taken of one router in an hour; the rest wait in its spool, so that a"
            " stolen key fills no disk",
        ),
    ] = SAMPLES_PER_HOUR
    max_runs_per_hour: Annotated[
        int,
        Setting(whole(1, 10_000), "new runs (starts of the agent) taken of one router in an hour"),
    ] = RUNS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """[web]"""

    host: Annotated[
        str, Setting(text(255), "the address that the page listens on; `0.0.0.0` is all")
    ] = LOOPBACK
    port: Annotated[int, Setting(whole(1, 65535), "the port of the page")] = WEB_PORT
    url: Annotated[
        str | None,
        Setting(
            ADDRESS, "how people reach the page, for links; give it if a proxy stands before it"
        ),
    ] = None
    tls_cert: Annotated[
        Path | None,
        Setting(FILE, "certificate chain (PEM) of the page; if given, HTTPS is served"),
    ] = None
    tls_key: Annotated[Path | None, Setting(FILE, "its key (PEM)")] = None
    insecure: Annotated[
        bool,
        Setting(FLAG, "serve HTTP on an address that other machines reach; passwords are readable"),
    ] = False
    language: Annotated[
        str,
        Setting(one_of(*LANGUAGES), "of visitors whose browser asks for none that there is"),
    ] = LANGUAGES[0]
    basemap: Annotated[
        Path | None,
        Setting(
            FILE,
            "GeoJSON of at most 1 MiB that the map draws under the places: a coast, roads",
            "the coast that Titik brings for the region, else a grid of degrees",
        ),
    ] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        Setting(
            networks(MAX_PROXIES),
            "the proxies before the page; only they may say where a visitor comes from",
            "none",
        ),
    ] = ()
    identity_header: Annotated[
        str | None,
        Setting(
            HEADER,
            "the header in which a trusted proxy names the user; it has to take it out of what"
            " visitors send",
        ),
    ] = None
    audit_days: Annotated[
        int, Setting(whole(30, 3650), "days that the audit keeps who changed what")
    ] = 365
    store_url: Annotated[
        str | None,
        Setting(
            text(1000),
            "`store.url` with the page's own user, who may only read the store",
            "`store.url`",
        ),
    ] = None
    store_password_file: Annotated[
        Path | None,
        Setting(FILE, "file with the password of that user, mode 0600"),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Public:
    """[public]"""

    directory: Annotated[
        Path | None,
        Setting(
            FILE,
            "the folder of the public page, which `titik public export` writes and `titik web` then"
            " serves at `/public/`",
            "none: there is no public page",
        ),
    ] = None
    language: Annotated[
        str | None,
        Setting(one_of(*LANGUAGES), "of its first page", "that of `[web]`"),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """[[site]]"""

    name: Annotated[
        str, Setting(NAME, "the site's name; do not change it, because history refers to it")
    ]
    title: Annotated[str, Setting(text(), "the name people read")]
    latitude: Annotated[float | None, Setting(real(-90, 90), "degrees north")] = None
    longitude: Annotated[float | None, Setting(real(-180, 180), "degrees east")] = None
    capacity: Annotated[
        int | None, Setting(whole(1, 1_000_000), "how many visitors it is meant for at once")
    ] = None
    uplink_mbps: Annotated[
        float | None,
        Setting(
            real(0.01, 1_000_000), "what its lines to the internet can carry together, in Mbit/s"
        ),
    ] = None
    provider: Annotated[str | None, Setting(text(100), "who provides its line to the internet")] = (
        None
    )
    circuit: Annotated[
        str | None, Setting(text(100), "the number of that line, as the provider asks for it")
    ] = None
    district: Annotated[str | None, Setting(text(100), "the part of the city it lies in")] = None
    power: Annotated[
        str | None, Setting(text(100), "what powers it, such as a line of the grid or solar")
    ] = None
    contact: Annotated[
        str | None,
        Setting(
            text(), "who has the key, and how to reach them; shown only to people who are logged in"
        ),
    ] = None
    hours: Annotated[
        str | None,
        Setting(
            HOURS, "when it is open, in the city's time zone; a day that is not named is closed"
        ),
    ] = None
    tier: Annotated[
        int | None, Setting(whole(1, 5), "how much it matters; 1 is the most important")
    ] = None
    tags: Annotated[
        tuple[str, ...], Setting(names(MAX_TAGS), "words of your own to find it by", "none")
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """[[router]]"""

    name: Annotated[
        str, Setting(NAME, "the router's name: its user name at the broker and in its topics")
    ]
    site: Annotated[str, Setting(NAME, "the site that it stands at")]
    since: Annotated[
        date | datetime | None,
        Setting(
            MOMENT,
            "when it came to this site; looked at once, when it is first seen at the site",
            "when the collector reads it",
        ),
    ] = None
    revoked: Annotated[
        date | datetime | None,
        Setting(
            MOMENT,
            "since when it has no access; `titik router revoke` writes it, and `titik router"
            " rotate` takes it out",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole file."""

    file: Path
    city: Annotated[City, Setting(Table(City), "The city, or whatever the hotspots have in common")]
    broker: Annotated[Broker, Setting(Table(Broker), "How the collector reaches the broker")]
    collector: Annotated[Collector, Setting(Table(Collector), "The collector itself")]
    store: Annotated[Store, Setting(Table(Store), "What is kept, and for how long")]
    web: Annotated[Web, Setting(Table(Web), "The page")] = Web()
    public: Annotated[Public, Setting(Table(Public), "The page that anybody may see, as files")] = (
        Public()
    )
    site: Annotated[
        tuple[Site, ...],
        Setting(Tables(Site, MAX_SITES), "A place with free Wi-Fi; one table each"),
    ] = ()
    router: Annotated[
        tuple[Router, ...],
        Setting(Tables(Router, MAX_ROUTERS), "An OpenWrt device; one table each"),
    ] = ()

    @property
    def beside(self) -> Path:
        """Files of the collector's own have their place beside this one, and its name."""
        return self.store.path or self.file.with_name(self.store.schema)

    @property
    def state_files(self) -> list[Path]:
        """Where the collector's own state may be, the best place first.

        Two cities on one machine have two stores, and so two names.
        """
        if self.collector.state is not None:
            return [self.collector.state]
        beside = self.beside
        name = hashlib.sha256(str(beside.resolve()).encode()).hexdigest()[:8]
        return [
            STATE_FOLDER / f"collector-{self.collector.id}-{name}.json",
            beside.with_name(f"{beside.name}.state"),
        ]

    @property
    def page_store(self) -> Store:
        """The store as the page's user opens it, and the desk beside it."""
        web = self.web
        if web.store_url is None:
            return self.store
        return replace(self.store, url=web.store_url, password_file=web.store_password_file)

    def since_ms(self, router: Router) -> int | None:
        """When the file says that the router came to its site, in milliseconds since 1970."""
        return self._ms(router.since)

    def revoked_ms(self, router: Router) -> int | None:
        """When the file says that the router's access was revoked, in milliseconds since 1970."""
        return self._ms(router.revoked)

    def _ms(self, moment: date | datetime | None) -> int | None:
        if moment is None:
            return None
        if not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self.city.timezone)
        return round(moment.timestamp() * 1000)


def load(file: Path) -> Config:
    """Read and check the file; ConfigError at the first thing that is wrong."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_CONFIG + 1)
    except OSError as error:
        raise _unread(file, error) from error
    if len(content) > MAX_CONFIG:
        raise ConfigError(file, "", "is too large", f"allowed: {MAX_CONFIG} bytes")
    return parse(content, file)


def _unread(file: Path, error: OSError) -> ConfigError:
    if isinstance(error, IsADirectoryError):
        remedy = f"name the file: --config {file / DEFAULT_FILE}"
        return ConfigError(file, "", "is a folder", remedy)
    remedy = "name another with --config, or copy examples/kupang.toml there"
    if isinstance(error, PermissionError):
        remedy = "run as its owner or as root"
    return ConfigError(file, "", str(error.strerror), remedy)


def parse(content: bytes, file: Path) -> Config:
    """Check the file's content; `file` is for messages and relative paths."""
    config = read(Config, _toml(content, file), file, given={"file": file})
    check(config)
    return config


def check(config: Config) -> None:
    """What single keys cannot say; ConfigError at the first thing that is wrong."""
    _check_names(config)
    _check_places(config)
    _check_store(config)
    _check_kept(config)
    _check_web(config)
    _check_page_users(config)


def _toml(content: bytes, file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(file, f"line {line}", "is not UTF-8", "save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:  # its text ends in the line and the column
        comma = _COMMA.search(content.decode())
        remedy = f"write {comma[1]}.{comma[2]}, with a point" if comma else ""
        remedy = remedy or "allowed: TOML, see https://toml.io"
        raise ConfigError(file, "", str(error), remedy) from error
    except RecursionError as error:
        raise ConfigError(
            file, "", "is nested too deep", "allowed: TOML of docs/config.md"
        ) from error


def _check_names(config: Config) -> None:
    """A name is given once, and no router is called like the collector's own user."""
    _check_unique(config, "site", (site.name for site in config.site))
    _check_unique(config, "router", (router.name for router in config.router))
    for number, router in enumerate(config.router):
        if router.name == (config.broker.username or COLLECTOR_USER):
            raise ConfigError(
                config.file,
                f"router[{number}].name",
                f'"{router.name}" is the collector\'s user at the broker',
                "name the router otherwise",
            )


def _check_unique(config: Config, table: str, names: Iterable[str]) -> None:
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        if name in first:
            raise ConfigError(
                config.file,
                f"{table}[{number}].name",
                f'"{name}" is {table}[{first[name]}] already',
                "allowed: each name once",
            )
        first[name] = number


def _check_places(config: Config) -> None:
    sites = [site.name for site in config.site]
    known = set(sites)
    for number, router in enumerate(config.router):
        if router.site not in known:
            raise ConfigError(
                config.file,
                f"router[{number}].site",
                f'there is no site "{router.site}" for {router.name}',
                no_such_site(router.site, sites),
            )


def store_at(place: str) -> Store:
    """Of a command: what a titik.toml names, the schema `titik` of an url, or a file.

    ConfigError.
    """
    if "://" in place:
        _check_url(Path("the url"), place)
        return Store(url=place)
    file = Path(place)
    if file.is_dir():
        raise ConfigError(file, "", "is a folder", "name the file in it")
    if not file.parent.is_dir():
        raise ConfigError(file, "", f"there is no folder {file.parent}", "make it, or name another")
    return load(file).store if file.suffix == ".toml" else Store(path=file)


def _check_store(config: Config) -> None:
    """It is in one place, and no password is in a file that many read."""
    store = config.store
    if (store.path is None) == (store.url is None):
        wrong = "is missing" if store.path is None else "is given, and so is store.url"
        raise ConfigError(config.file, "store.path", wrong, "give one of store.path and store.url")
    if store.password_file is not None and store.url is None:
        raise ConfigError(
            config.file, "store.password_file", "is of no use to a file", "give it with store.url"
        )
    if store.url is not None:
        _check_url(config.file, store.url)


def _check_web(config: Config) -> None:
    """Who is not on this machine reads nothing on the way, unless the operator wants it so."""
    web = config.web
    if (web.tls_cert is None) != (web.tls_key is None):
        key = "web.tls_key" if web.tls_key is None else "web.tls_cert"
        raise ConfigError(config.file, key, "is missing", "give web.tls_cert and web.tls_key")
    if not is_loopback(web.host) and web.tls_cert is None and not web.insecure:
        raise ConfigError(
            config.file,
            "web.host",
            f"{web.host} can be reached by other machines, and what they send could be read",
            "give web.tls_cert and web.tls_key, or put a proxy before "
            f"{LOOPBACK}, or write insecure = true",
        )


def _check_page_users(config: Config) -> None:
    """What names a user is believed from a proxy alone, and a file has no users."""
    web = config.web
    if web.identity_header is not None and not web.trusted_proxies:
        wrong = "would be believed from anybody"
        raise ConfigError(config.file, "web.identity_header", wrong, "give web.trusted_proxies")
    if web.store_url is None and web.store_password_file is not None:
        wrong = "is of no use without web.store_url"
        raise ConfigError(config.file, "web.store_password_file", wrong, "give both or none")
    if web.store_url is None:
        return
    if config.store.url is None:
        wrong = "is of no use to a store in a file"
        raise ConfigError(config.file, "web.store_url", wrong, "give it with store.url")
    _check_url(config.file, web.store_url, "web.store_url", "web.store_password_file")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def page_address(config: Config) -> str:
    """Where people find the page: the url of the file, else where it listens."""
    web = config.web
    if web.url is not None:
        return f"{web.url}/"
    host = f"[{web.host}]" if ":" in web.host else web.host
    return f"http{'' if web.tls_cert is None else 's'}://{host}:{web.port}/"


def _check_url(
    file: Path, text: str, key: str = "store.url", password: str = "store.password_file"
) -> None:
    url = urlsplit(text)
    if url.scheme not in ("postgresql", "postgres"):
        allowed = "allowed: postgresql://USER@HOST/DATABASE"
        raise ConfigError(file, key, "is of no engine that is known", allowed)
    if url.password or "password" in parse_qs(url.query):
        remedy = f"put it into a file of mode 0600, and name that in titik.toml: {password}"
        raise ConfigError(file, key, "has a password in it", remedy)


def _check_kept(config: Config) -> None:
    """A late sample's hour is computed again from its minutes, which must be there."""
    samples_days, minutes_days = (
        config.store.samples_days or SAMPLES_DAYS,
        config.store.minutes_days,
    )
    if minutes_days is not None and minutes_days < samples_days:
        raise ConfigError(
            config.file,
            "store.minutes_days",
            f"{minutes_days} is less than store.samples_days, {samples_days}",
            f"allowed: from {samples_days} on",
        )


def no_such_site(name: str, sites: list[str]) -> str:
    """The remedy for a site that is not there."""
    near = difflib.get_close_matches(name, sites, 1)
    if near:
        return f"did you mean {near[0]}?"
    if not sites:
        return "add a [[site]] first"
    more = f" and {len(sites) - MAX_NAMED} more" if len(sites) > MAX_NAMED else ""
    return f"allowed: {', '.join(sites[:MAX_NAMED])}{more}"
