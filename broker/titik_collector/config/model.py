"""The server's configuration: one TOML file, one frozen object, checked once when it is read.

Rule: every key is declared in this room, and docs/config.md is written from the declarations.
Rule: what two keys say together is checked too; nothing later meets a wrong configuration.
"""

import hashlib
import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from titik_collector.alerts.alert_settings import AlertSettings, Rota
from titik_collector.config import alert_tables
from titik_collector.config.alert_tables import AlertRoute, AlertRule, Alerts, check_alerts
from titik_collector.config.backup_table import BACKUPS, Backup
from titik_collector.config.page_tables import Public, Web, check_page
from titik_collector.config.receiver_tables import (
    Heartbeat,
    Receiver,
    Smtp,
    WeeklyRota,
    check_receivers,
)
from titik_collector.config.schema import (
    FILE,
    FLAG,
    NAME,
    ZONE,
    Setting,
    Table,
    Tables,
    read,
    text,
    whole,
)
from titik_collector.config.schema import ConfigError as ConfigError
from titik_collector.config.served_folder import check_served, paths
from titik_collector.config.settings_tables import SettingsTable, check_settings
from titik_collector.config.site_tables import Router, Site, check_sites
from titik_collector.config.store_table import Store, check_store, check_url
from titik_collector.limits import (
    MAX_CONFIG,
    MAX_RECEIVERS,
    MAX_ROTAS,
    MAX_ROUTERS,
    MAX_ROUTES,
    MAX_SETTINGS,
    MAX_SITES,
)
from titik_mqtt.endpoint import LOOPBACK, PORT
from titik_wire import topics

DEFAULT_FILE = Path("titik.toml")
# Unless the file says otherwise.
COLLECTOR_USER = "collector"  # the collector's user at the broker
_COMMA = re.compile(r"^\s*\w+\s*=\s*(-?\d+),(\d+)\s*$", re.MULTILINE)  # a decimal one
STATE_FOLDER = Path("/run/titik")  # memory: it can be written when every disk is full
CAPACITY = 100  # of a simulated site
# Where a city lies that is not at home.
ETC, VAR = Path("/etc/titik"), Path("/var/lib/titik")
# Unless the command line says otherwise.
ENGINEER = "engineer"  # everybody's, until there are some by name
WINDOW, UNTIL, FORMAT, SUBJECT = "1h", "now", "csv", "city"
CURVE_SINCE, LIST_SINCE = "24h", "7d"
ROLE, LAST_CHANGES = "viewer", 100
AWAY, AWAY_CRITICAL, LOST, CERT_DAYS = 1, 0, 1, 60  # from which on `status --check` warns
WORK = "2h"  # of maintenance that begins now
NOTHING = ""  # where a reason or a note may be left out
WISH_WAIT_S = 60.0  # `titik router set --wait`: a file is taken in 4 s, a sample and its ack in 35
SCREEN_S = 2.0  # between two screens of `titik top`
CANARIES, WAVE = 5, "20%"  # of an upgrade
DEMO, EXAMPLE = Path("var/demo"), Path("examples/kupang.toml")
INTERVAL_S, FIRST_WAIT_S, SPEED, SEED = 30.0, 40.0, 1.0, 1  # of a simulation
# Of the demo, whose simulated day passes in 48 minutes.
DEMO_INTERVAL_S, DEMO_FIRST_WAIT_S, DEMO_SPEED = 5, 1.0, 30.0
DEMO_PAST_DAYS = 35  # so that a month is whole
# Of a drill, which ends in a minute or two.
DRILL_SOURCE, DRILL_ROUTERS, DRILL_BEFORE_S, DRILL_INTERVAL_S = "backup", 5, 15.0, 1.0


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
    packed: Annotated[
        bool,
        Setting(
            FLAG,
            "whether routers may send samples packed, in a third of their bytes; `false`: they send"
            " JSON, unless one is set to pack",
        ),
    ] = True
    standby: Annotated[
        bool,
        Setting(
            FLAG,
            "whether another `titik collect` on the same PostgreSQL store is to stand by; then"
            " `titik status` and the page warn where none does",
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAssistant:
    """[homeassistant]"""

    discovery: Annotated[
        bool,
        Setting(
            FLAG,
            "whether Home Assistant finds each site as a device;"
            " see [integrations.md](integrations.md#home-assistant)",
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole file."""

    file: Path
    city: Annotated[City, Setting(Table(City), "The city, or whatever the hotspots have in common")]
    broker: Annotated[Broker, Setting(Table(Broker), "How the collector reaches the broker")]
    collector: Annotated[Collector, Setting(Table(Collector), "The collector itself")]
    store: Annotated[Store, Setting(Table(Store), "What is kept, and for how long")]
    backup: Annotated[
        Backup, Setting(Table(Backup), "Where the city's backups are, and who may open them")
    ] = field(default_factory=Backup)
    web: Annotated[Web, Setting(Table(Web), "The page")] = field(default_factory=Web)
    public: Annotated[Public, Setting(Table(Public), "The page that anybody may see, as files")] = (
        field(default_factory=Public)
    )
    homeassistant: Annotated[
        HomeAssistant, Setting(Table(HomeAssistant), "Sites as devices of Home Assistant")
    ] = field(default_factory=HomeAssistant)
    alerts: Annotated[Alerts, Setting(Table(Alerts), "Messages to people, and when they come")] = (
        field(default_factory=Alerts)
    )
    alert: Annotated[
        tuple[AlertRule, ...],
        Setting(
            Tables(AlertRule, len(alert_tables.KINDS)),
            "A rule that is other than shipped; one table each",
        ),
    ] = ()
    route: Annotated[
        tuple[AlertRoute, ...],
        Setting(
            Tables(AlertRoute, MAX_ROUTES),
            "Who gets which messages; one table each, and each of them counts. Without any, each"
            " receiver gets all",
        ),
    ] = ()
    smtp: Annotated[Smtp, Setting(Table(Smtp), "The mail server that messages leave by")] = field(
        default_factory=Smtp
    )
    heartbeat: Annotated[
        Heartbeat,
        Setting(Table(Heartbeat), "A sign of life for a service outside, which misses it"),
    ] = field(default_factory=Heartbeat)
    receiver: Annotated[
        tuple[Receiver, ...],
        Setting(
            Tables(Receiver, MAX_RECEIVERS),
            "A person, a group of people or a program that gets messages; one table each",
        ),
    ] = ()
    rota: Annotated[
        tuple[WeeklyRota, ...],
        Setting(Tables(WeeklyRota, MAX_ROTAS), "Receivers who take turns week by week"),
    ] = ()
    site: Annotated[
        tuple[Site, ...],
        Setting(Tables(Site, MAX_SITES), "A place with free Wi-Fi; one table each"),
    ] = ()
    router: Annotated[
        tuple[Router, ...],
        Setting(Tables(Router, MAX_ROUTERS), "An OpenWrt device; one table each"),
    ] = ()
    settings: Annotated[
        tuple[SettingsTable, ...],
        Setting(
            Tables(SettingsTable, MAX_SETTINGS),
            "What routers are to run with; `titik router set` writes it. A key that no table gives"
            " is the router's own; see [fleet.md](fleet.md#settings)",
        ),
    ] = ()

    @property
    def beside(self) -> Path:
        """Files of the collector's own have their place beside this one, and its name."""
        return self.store.path or self.file.with_name(self.store.schema)

    @property
    def backups(self) -> Path | None:
        """The folder of its backups; None: nothing says that there are any."""
        there = self.backup.folder or self.alerts.backup
        return BACKUPS if there is None and self.file.resolve().parent == ETC else there

    def check_served(self, folder: Path, key: str = "public.directory") -> None:
        """ConfigError if a folder that anybody may read has what is the city's alone."""
        private = replace(self, public=Public())
        backups = [] if self.backups is None else [self.backups]
        check_served(self.file, [*paths(private), *backups], folder, key)

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

    @property
    def alert_settings(self) -> AlertSettings:
        """Who gets which messages, and when, as the rules take it."""
        return alert_tables.settings_of(
            self.city.timezone,
            self.alerts,
            self.alert,
            self.route,
            [Rota(one.name, one.receivers, self.monday_ms(one)) for one in self.rota],
            [one.name for one in self.receiver],
        )

    def monday_ms(self, rota: WeeklyRota) -> int:
        """When the week of its first receiver began, in milliseconds since 1970."""
        found = self._ms(rota.since)
        assert found is not None
        return found

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


def reader_of(engineers: Sequence[str]) -> str:
    """Which of the broker's engineers Titik reads as; there is one."""
    return ENGINEER if ENGINEER in engineers else engineers[0]


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


def installed_file() -> Path | None:
    """The city's file where `make install` has it; None: it is not there, or not to be seen."""
    file = ETC / DEFAULT_FILE
    return file if os.path.exists(file) else None


def _unread(file: Path, error: OSError) -> ConfigError:
    if isinstance(error, IsADirectoryError):
        remedy = f"name the file: --config {file / DEFAULT_FILE}"
        return ConfigError(file, "", "is a folder", remedy)
    remedy = "name another with --config, or copy examples/kupang.toml there"
    if isinstance(error, FileNotFoundError) and (installed := installed_file()) is not None:
        remedy = f"the city of this machine: --config {installed}"
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
    file = config.file
    check_sites(file, config.site, config.router, config.broker.username or COLLECTOR_USER)
    check_settings(file, config.settings, config.site, config.router)
    check_store(file, config.store)
    if config.collector.standby and config.store.url is None:
        wrong = "is of no use to a store in a file"
        raise ConfigError(file, "collector.standby", wrong, "give it with store.url")
    check_page(file, config.web, config.store)
    if config.public.directory is not None:
        config.check_served(config.public.directory)
    check_receivers(file, config.receiver, config.rota, config.smtp, config.heartbeat)
    named = [*(one.name for one in config.receiver), *(one.name for one in config.rota)]
    check_alerts(file, config.alert, config.route, config.site, named)


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


def stores_at(place: str) -> tuple[Store, Store]:
    """Of a command: what a titik.toml names, the schema `titik` of an url, or a file.

    As the collector opens it, and as the page does. ConfigError.
    """
    if "://" in place:
        check_url(Path("the url"), place)
        return (Store(url=place),) * 2
    file = Path(place)
    if file.is_dir():
        raise ConfigError(file, "", "is a folder", "name the file in it")
    if not file.parent.is_dir():
        raise ConfigError(file, "", f"there is no folder {file.parent}", "make it, or name another")
    if file.suffix == ".toml":
        config = load(file)
        return config.store, config.page_store
    return (Store(path=file),) * 2
