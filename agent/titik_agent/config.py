"""The agent's configuration: one TOML file, one frozen object, checked once at start.

Rule: every error names the file, the key, what is wrong and what to use instead.
Rule: a machine with no file runs too: a broker's address and a router's name are enough.
"""

import os
import re
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, get_args, get_origin

from titik_wire.kinds import SLUG

DEFAULT_FILE = "/etc/titik/agent.toml"
MAX_TARGETS = 8
LEASE_FILES = ("/tmp/dhcp.leases", "/var/lib/misc/dnsmasq.leases")  # OpenWrt, Debian


class ConfigError(Exception):
    """The operator's to mend; the text says where and how."""


@dataclass(frozen=True, slots=True)
class Broker:
    """[broker]: where reports go. The router's name is its user name."""

    host: str = ""  # name or address of the broker
    port: int = 0  # 0: 8883 with TLS, 1883 without
    password_file: str | None = None  # file with the router's password, mode 0600
    tls: bool = False  # encrypt, and check the broker's certificate
    ca_file: str | None = None  # certificate authorities to trust; absent: the system's
    cert_file: str | None = None  # the router's own certificate
    key_file: str | None = None  # and its key, mode 0600
    compress: bool = False  # samples in a third of their bytes; upgrade the collector first


@dataclass(frozen=True, slots=True)
class Spool:
    """[spool]: what the collector has not committed yet."""

    directory: str = "/tmp/titik"  # on OpenWrt a RAM disk: no flash wear
    limit_bytes: int = 1 << 20  # size of the spool; older samples are merged to stay within
    persist_dir: str | None = None  # on flash: outages longer than 5 minutes survive a power cut


@dataclass(frozen=True, slots=True)
class Interfaces:
    """[interfaces]: which interface is what; absent: found by themselves."""

    uplink: str | None = None  # towards the internet; found: the default route's
    lan: tuple[str, ...] | None = None  # towards the visitors; found: the bridges


@dataclass(frozen=True, slots=True)
class Sources:
    """[sources]: where counts come from."""

    hostapd: Literal["auto", "ubus", "control", "off"] = "auto"  # auto: ubus if it is there
    ubus_socket: str = "/var/run/ubus/ubus.sock"  # OpenWrt's message bus
    control_dir: str = "/var/run/hostapd"  # hostapd's control sockets on other systems
    lease_files: tuple[str, ...] = LEASE_FILES  # dnsmasq's; those that are missing are passed over


@dataclass(frozen=True, slots=True)
class Reach:
    """[reach]: does the uplink carry traffic; off unless targets or names are given."""

    targets: tuple[str, ...] = ()  # host:port, opened and closed again over TCP
    names: tuple[str, ...] = ()  # to ask the resolver for; *.example gets a new label each time
    every_s: int = 60  # seconds between rounds


@dataclass(frozen=True, slots=True)
class Probe:
    """[probe]: the separate process that needs raw sockets."""

    result_file: str = "/tmp/titik-probe/result.json"  # written by it, read by the agent
    targets: tuple[str, ...] = ()  # addresses to ping
    max_age_s: int = 900  # an older result is not reported


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file."""

    router: str = ""  # this router's name: a-z, 0-9 and -, at most 64 characters
    interval_s: int = 30  # seconds between samples
    clock: Literal["auto", "trusted"] = "auto"  # trusted: believe the clock without a sign of NTP
    watchdog: str | None = None  # procd's name of this service, to tell it that the agent lives
    broker: Broker = field(default_factory=Broker)  # where reports go
    spool: Spool = field(default_factory=Spool)  # what is kept until it is committed
    interfaces: Interfaces = field(default_factory=Interfaces)  # which interface is what
    sources: Sources = field(default_factory=Sources)  # where counts come from
    reach: Reach = field(default_factory=Reach)  # does the uplink carry traffic
    probe: Probe = field(default_factory=Probe)  # the separate process


def load(path: str | None, router: str | None = None, broker: str | None = None) -> Config:
    """The file, with the command line's router and `host[:port]` over it; ConfigError if wrong.

    A file that was not asked for by name may be missing.
    """
    where = path or DEFAULT_FILE
    table = _read(where) if path is not None or os.path.exists(where) else {}
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
            return file.read(4096).strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"broker.password_file: {path}: {error}") from error


def _read(path: str) -> dict[str, Any]:
    import tomllib  # 0.3 MB that a machine without a file need not carry

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name another with --config") from error
    except ValueError as error:  # TOML syntax with its line, or not UTF-8
        raise ConfigError(f"{path}: {error}") from error


def _table(cls: type[Any], table: Any, where: str, prefix: str) -> Any:
    """A dataclass from a TOML table; unknown keys are errors, because they are typing errors."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: {prefix.rstrip('.')}: must be a table")
    known = {one.name: one for one in fields(cls)}
    for key in table:
        if key not in known:
            allowed = ", ".join(known)
            raise ConfigError(f"{where}: {prefix}{key}: no such key; there are {allowed}")
    values = {
        key: _value(known[key].type, value, where, prefix + key) for key, value in table.items()
    }
    return cls(**values)


def _value(kind: Any, value: Any, where: str, key: str) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        return _table(kind, value, where, f"{key}.")
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ConfigError(f"{where}: {key}: {value!r} is none of {', '.join(get_args(kind))}")
        return value
    wanted, name = _plain(kind)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ConfigError(f"{where}: {key}: {value!r} must be {name}")
    if not isinstance(value, list):
        return value
    if not all(isinstance(one, str) for one in value):
        raise ConfigError(f"{where}: {key}: {value!r} must be {name}")
    return tuple(value)


def _plain(kind: Any) -> tuple[type, str]:
    """The TOML type of a field, and its name for people."""
    inner = [one for one in get_args(kind) if one is not type(None)] or [kind]
    if kind is bool:
        return bool, "true or false"
    if kind is int:
        return int, "a whole number"
    if inner[0] is str and get_origin(kind) is not tuple:
        return str, "text in quotes"
    return list, "a list of texts"


def _check(config: Config, where: str) -> None:
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
    _within(where, "broker.port", config.broker.port, 0, 65535)
    _within(where, "interval_s", config.interval_s, 1, 3600)
    _within(where, "spool.limit_bytes", config.spool.limit_bytes, 1 << 16, 1 << 30)
    _within(where, "reach.every_s", config.reach.every_s, 5, 3600)
    _within(where, "probe.max_age_s", config.probe.max_age_s, 10, 86400)
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


def _within(where: str, key: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{where}: {key}: {value} is out of range; use {low} to {high}")


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
