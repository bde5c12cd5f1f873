"""The agent's configuration: one TOML file, one frozen object, checked once at start.

Rule: every error names the file, the key, what is wrong and what to use instead.
Rule: a machine with no file runs too: a broker's address and a router's name are enough.
Rule: a path is relative to the file that it stands in.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from operator import attrgetter
from typing import Annotated, Any, Literal, get_args, get_origin

from titik_agent.lazy_imports import apart
from titik_agent.limits import MAX_SMALL_FILE, MAX_TARGETS
from titik_wire.kinds import SLUG
from titik_wire.value import Value

DEFAULT_FILE = "/etc/titik/agent.toml"
RANGES = {  # of every whole number
    "broker.port": (0, 65535),
    "interval_s": (1, 3600),
    "spool.limit_bytes": (1 << 16, 1 << 30),
    "reach.every_s": (5, 3600),
    "probe.max_age_s": (10, 86400),
}
SPOOL_BYTES = 1 << 20
# OpenWrt's default (uci dhcp.@dnsmasq[].leasefile) and Debian's.
LEASE_FILES = ("/tmp/dhcp.leases", "/var/lib/misc/dnsmasq.leases")

Path = Annotated[str, "a path"]


class ConfigError(Exception):
    """The operator's to mend; the text says where and how."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Broker(Value):
    """[broker]: where reports go. The router's name is its user name."""

    host: str = ""  # name or address of the broker
    port: int = 0  # 0: 8883 with TLS, 1883 without
    password_file: Path | None = None  # file with the router's password, mode 0600
    tls: bool = False  # encrypt, and check the broker's certificate
    ca_file: Path | None = None  # certificate authorities to trust; absent: the system's
    cert_file: Path | None = None  # the router's own certificate
    key_file: Path | None = None  # and its key, mode 0600
    compress: bool | None = None  # samples in a third of their bytes; none: as collectors take it


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Spool(Value):
    """[spool]: what the collector has not committed yet."""

    directory: Path = "/tmp/titik"  # of this agent alone; on OpenWrt a RAM disk: no flash wear
    limit_bytes: int = SPOOL_BYTES  # size of the spool; older samples are merged to stay within
    persist_dir: Path | None = None  # on flash: outages longer than 5 minutes survive a power cut


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Interfaces(Value):
    """[interfaces]: which interface is what; absent: found by themselves."""

    uplink: str | None = None  # towards the internet, spaces between several; found: by routes
    lan: tuple[str, ...] | None = None  # towards the visitors; found: the bridges


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Sources(Value):
    """[sources]: where counts come from."""

    hostapd: Literal["auto", "ubus", "control", "off"] = "auto"  # auto: ubus if it is there
    ubus_socket: Path = "/var/run/ubus/ubus.sock"  # OpenWrt's message bus
    control_dir: Path = "/var/run/hostapd"  # hostapd's control sockets on other systems
    lease_files: tuple[Path, ...] = LEASE_FILES  # dnsmasq's; those that are missing are skipped


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Reach(Value):
    """[reach]: does the uplink carry traffic; off unless targets or names are given."""

    targets: tuple[str, ...] = ()  # host:port, opened and closed again over TCP
    names: tuple[str, ...] = ()  # to ask the resolver for; *.example gets a new label each time
    every_s: int = 60  # seconds between rounds


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Probe(Value):
    """[probe]: the separate process that needs raw sockets."""

    result_file: Path = "/tmp/titik-probe/result.json"  # written by it, read by the agent
    targets: tuple[str, ...] = ()  # addresses to ping
    max_age_s: int = 900  # an older result is not reported


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Config(Value):
    """The whole file."""

    router: str = ""  # this router's name: a-z, 0-9 and -, at most 64 characters
    interval_s: int = 30  # seconds between samples
    clock: Literal["auto", "trusted"] = "auto"  # trusted: believe the clock without a sign of NTP
    watchdog: str | None = None  # procd's name of this service, which hears that the agent lives
    upgrade_dir: Path | None = None  # of the helper that upgrades this agent from the router's feed
    state_file: Path | None = None  # for the router's own page (LuCI): what the agent does now
    broker: Broker = field(default_factory=Broker)  # where reports go
    spool: Spool = field(default_factory=Spool)  # what is kept until it is committed
    interfaces: Interfaces = field(default_factory=Interfaces)  # which interface is what
    sources: Sources = field(default_factory=Sources)  # where counts come from
    reach: Reach = field(default_factory=Reach)  # does the uplink carry traffic
    probe: Probe = field(default_factory=Probe)  # the separate process


def read(path: str) -> dict[str, Any]:
    """The file's tables; ConfigError if it is none."""
    import tomllib  # 0.3 MB that a machine without a file need not carry

    other = "name another with --config, or give --router and --broker"
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; write it as docs/config.md shows, {other}"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; {other}") from error
    except tomllib.TOMLDecodeError as error:  # with its line
        hint = "; is a text without quotes?" if "Invalid value" in str(error) else ""
        raise ConfigError(f"{path}: {error}{hint}") from error
    except ValueError as error:  # not UTF-8
        raise ConfigError(f"{path}: {error}") from error


def read_apart(path: str, call: Callable[[Callable[[], Any]], Any] = apart.call) -> dict[str, Any]:
    """The same, and the parser's memory is given back; only before the first thread.

    Where no child answers, it is read here: its memory is not worth an agent that does not start.
    """

    def work() -> tuple[Any, str | None]:
        try:
            return _only_json(read(path)), None
        except ConfigError as error:
            return None, str(error)

    try:
        answer = call(work)
    except (OSError, ValueError):
        answer = None
    if answer is None:
        return read(path)
    tables, trouble = answer
    if tables is None:
        raise ConfigError(trouble)
    found: dict[str, Any] = tables
    return found


def _only_json(value: Any) -> Any:
    """A date is none of our kinds: as a table it is refused."""
    if isinstance(value, dict):
        return {key: _only_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_only_json(one) for one in value]
    return value if isinstance(value, str | int | float | bool) else {str(value): None}


def load(
    path: str | None,
    router: str | None = None,
    broker: str | None = None,
    read: Callable[[str], dict[str, Any]] = read,
) -> Config:
    """The file, with the command line's router and `host[:port]` over it; ConfigError if wrong.

    The file may be missing if it was not asked for by name and nothing need be in it.
    """
    where = path or DEFAULT_FILE
    optional = path is None and router is not None and broker is not None
    table = {} if optional and not os.path.exists(where) else read(where)
    config: Config = _table(Config, table, where, "")
    if router is not None:
        config = replace(config, router=router)
    if broker is not None:
        host, port = _host_port(broker, "--broker")
        config = replace(config, broker=replace(config.broker, host=host, port=port))
    _check(config, where)
    return config


def password(config: Config) -> str | None:
    """The router's password, from its file; ConfigError if it cannot be read."""
    path = config.broker.password_file
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(MAX_SMALL_FILE).strip()
    except OSError as error:
        raise ConfigError(
            f"broker.password_file: {path}: {error.strerror}; put the router's password there,"
            " readable by this user"
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"broker.password_file: {path}: is not UTF-8; put the router's password there"
        ) from error


def _table(cls: type[Any], table: Any, where: str, prefix: str) -> Any:
    """A dataclass from a TOML table; unknown keys are errors, because they are typing errors."""
    if not isinstance(table, dict):
        name, first = prefix.rstrip("."), fields(cls)[0].name
        given = json.dumps(table) if isinstance(table, str) else "..."
        raise ConfigError(
            f"{where}: {name}: must be a table: a line [{name}], and below it {first} = {given}"
        )
    known = {one.name: one for one in fields(cls)}
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}: {prefix}{key}: no such key; {_meant(key, list(known))}")
    values = {
        key: _value(known[key].type, value, where, prefix + key) for key, value in table.items()
    }
    return cls(**values)


def _meant(key: str, known: list[str]) -> str:
    import difflib  # for people who wait, never while the agent runs

    near = difflib.get_close_matches(key, known, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def _value(kind: Any, value: Any, where: str, key: str) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        return _table(kind, value, where, f"{key}.")
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ConfigError(f"{where}: {key}: {value!r} is none of {', '.join(get_args(kind))}")
        return value
    wanted, name = _plain(kind)
    if wanted is int:
        name += ", from {} to {}, without quotes".format(*RANGES[key])
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ConfigError(f"{where}: {key}: {value!r} must be {name}")
    if isinstance(value, list) and not all(isinstance(one, str) for one in value):
        raise ConfigError(f"{where}: {key}: {value!r} must be {name}")
    if Path in (kind, *get_args(kind)):
        value = _beside(where, value)
    return tuple(value) if isinstance(value, list) else value


def _beside(where: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_beside(where, one) for one in value]
    return os.path.join(os.path.dirname(os.path.abspath(where)), value)


def _plain(kind: Any) -> tuple[type, str]:
    """The TOML type of a field, and its name for people."""
    inner = [one for one in get_args(kind) if one is not type(None)] or [kind]
    if inner[0] is bool:
        return bool, "true or false"
    if kind is int:
        return int, "a whole number"
    if inner[0] in (str, Path) and get_origin(kind) is not tuple:
        return str, "text in quotes"
    return list, "a list of texts"


def _check(config: Config, where: str) -> None:
    if not config.router:
        raise ConfigError(
            f"{where}: router: is missing; give this router's name, here or with --router"
        )
    if re.fullmatch(SLUG, config.router) is None:
        raise ConfigError(
            f"{where}: router: {config.router!r} is no router name; use a-z, 0-9 and -, at most"
            " 64 characters, here or with --router"
        )
    if not config.broker.host:
        raise ConfigError(
            f"{where}: broker.host: is missing; give the broker's name or address, here or"
            " with --broker"
        )
    for key, (low, high) in RANGES.items():
        value = attrgetter(key)(config)
        if not low <= value <= high:
            raise ConfigError(f"{where}: {key}: {value} is out of range; use {low} to {high}")
    for key in ("cert_file", "key_file", "ca_file"):
        if getattr(config.broker, key) is not None and not config.broker.tls:
            raise ConfigError(f"{where}: broker.{key}: needs broker.tls = true")
    if (config.broker.cert_file is None) != (config.broker.key_file is None):
        raise ConfigError(f"{where}: broker.cert_file: and broker.key_file go together")
    for key in ("targets", "names"):
        if len(getattr(config.reach, key)) > MAX_TARGETS:
            raise ConfigError(f"{where}: reach.{key}: at most {MAX_TARGETS}, to bound a round")
    for target in config.reach.targets:
        _host_port(target, f"{where}: reach.targets", must=True)


def _host_port(text: str, where: str, must: bool = False) -> tuple[str, int]:
    """`host`, `host:port`, `[v6]` or `[v6]:port`; port 0 when there is none."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\[\]\s]+)(?::([0-9]{1,5}))?", text)
    port = int(found[2] or 0) if found else 0
    if found is None or port > 65535 or (must and port == 0):
        raise ConfigError(
            f"{where}: {text!r} is no address; use host:port, such as example.net:443"
        )
    return found[1].strip("[]"), port


def targets(reach: Reach) -> tuple[tuple[str, int], ...]:
    """Host and port of each target."""
    return tuple([_host_port(one, "reach.targets", must=True) for one in reach.targets])
