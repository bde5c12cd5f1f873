"""The systemd units that `titik broker init` writes: a user, limits and a sandbox each.

Rule: units are written when `titik broker init` is given a configuration, or when there are none;
nothing else changes what they were made for.
Rule: a city that the units' users cannot reach is left alone: the operator gets the commands that
bring it to where they can.
"""

import os
import pwd
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from titik_collector.config import model as configuration
from titik_collector.config.model import ENGINEER, ConfigError, reader_of
from titik_collector.config.served_folder import paths
from titik_collector.files.replace import Owner, replace_file
from titik_collector.limits import (
    MAX_BACKUPS,
    MAX_COLLECTOR_MEMORY,
    MAX_COLLECTOR_TASKS,
    MAX_MEMORY,
    MAX_NOTIFY_MEMORY,
    MAX_NOTIFY_TASKS,
    MAX_OPEN_FILES,
    MAX_PAGE_MEMORY,
    MAX_PAGE_TASKS,
    MAX_RENEWAL_MEMORY,
    MAX_TASKS,
)
from titik_collector.store.desk_opening import folder_of
from titik_collector.store.notify_opening import folder_of as notify_folder_of
from titik_collector.units import prerequisites
from titik_collector.units.prerequisites import Layout

USER = "titik"  # the collector's
WEB_USER = "titik-web"  # the page's: it reads the store, and writes the desk alone
NOTIFY_USER = "titik-notify"  # who delivers: it reads the store, and has the secrets of channels
COLLECTOR = "titik-collector.service"
ENABLED = (
    "titik-broker titik-collector titik-web titik-notify titik-renew.timer titik-backup.timer"
    " titik-backup-verify.timer"
)
SHIPPING = "titik-litestream.service"
TWIN = "titik-twin.timer"
LITESTREAM = "litestream.yml"  # beside titik.toml: only then something is shipped
_SEND = "then, at the first broker: titik broker twin send DIR"
LOW_PORTS = 1024  # below, only who may bind them

_SERVICE = """\
# Written by `titik broker init`.
[Unit]
Description=Titik: {what}
After=network-online.target{after}
Wants=network-online.target

[Service]
User={user}
ExecStart={command}
{own}
{sandbox}
{install}"""
_DAEMON = f"""\
Restart=always
RestartSec=2
LimitNOFILE={MAX_OPEN_FILES}"""
_INSTALL = """
[Install]
WantedBy=multi-user.target
"""
# mosquitto and Python need no more; what is left out of it is in `systemd-analyze security`.
_SANDBOX = """\
UMask={umask}
NoNewPrivileges=true
ProtectSystem=strict
ProtectHome=true
PrivateTmp=true
PrivateDevices=true
ProtectHostname=true
ProtectClock=true
ProtectKernelTunables=true
ProtectKernelModules=true
ProtectKernelLogs=true
ProtectControlGroups=true
RestrictAddressFamilies={families}
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
LockPersonality=true
MemoryDenyWriteExecute=true
RemoveIPC=true
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
CapabilityBoundingSet={rights}"""
# New files: their owner's alone, readable by the group, or by everybody.
_OURS, _SHARED, _FOR_ALL = "0077", "0027", "0022"
# How a line begins that leads to units.
_INSTALL_THEM, _TO_HAVE_THEM = "install:  systemctl link", "no units for systemd yet; to have them"
_LOW_PORT = "CAP_NET_BIND_SERVICE"
_ANYWHERE = "AF_UNIX AF_INET AF_INET6"
_TIMER = """\
# Written by `titik broker init`.
[Unit]
Description=Titik: {what}

[Timer]
OnCalendar={when}
RandomizedDelaySec={delay}
Persistent=true

[Install]
WantedBy=timers.target
"""

_EVERY = _TIMER.format(what="bring other brokers to the same", when="*:0/10", delay="1min")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosquitto:
    """What the units must know of the city's broker."""

    directory: Path
    account: str  # who mosquitto runs as
    collector: str  # the collector's user at the broker
    engineers: tuple[str, ...] = (ENGINEER,)  # one of them hears the collector's beat
    lowest_port: int
    has_twins: bool = False
    is_twin: bool = False  # then the first broker renews


def write(broker: Mosquitto, config: Path | None, again: bool = False) -> list[str]:
    """Write the units into `systemd/`; the lines for the operator.

    `again`: the line that installs them, also where none of them has changed.
    """
    folder = broker.directory.resolve() / "systemd"
    if config is None and (folder / COLLECTOR).exists():
        return []
    file = configuration.ETC / configuration.DEFAULT_FILE
    place = find(broker, config or file)
    if place is None and broker.is_twin:
        what = f"bring {file} there too" if config is None else f"mend {config}, which is refused"
        return [f"no units yet; {what}, {_SEND}"]
    if place is None:
        return ["no units yet: titik broker init DIR --config FILE writes them"]
    return _before(place, broker) or _replace(folder, texts(place, broker), again)


def missing(broker: Mosquitto, config: Path | None) -> list[str] | None:
    """What an operator types before `write` makes the units that lack; None: it makes none."""
    is_there = (broker.directory.resolve() / "systemd" / COLLECTOR).exists()
    place = None if is_there or config is None else find(broker, config)
    return None if place is None else _before(place, broker)


def _before(place: Layout, broker: Mosquitto) -> list[str]:
    """What is to be typed before units can be written, with its headline."""
    commands = prerequisites.commands(place)
    if not commands:
        return []
    if broker.is_twin:  # which refuses an init
        commands[-1] = _SEND
    if (place.directory / "systemd" / COLLECTOR).exists():
        return ["the units stay as they are; first, as root:", *commands]
    return [f"{_TO_HAVE_THEM}, as root:", *commands]


def are_to_come(lines: Iterable[str]) -> bool:
    """Whether these lead the operator to units, as `write` may."""
    return any(one.startswith((_INSTALL_THEM, _TO_HAVE_THEM)) for one in lines)


def find(broker: Mosquitto, config: Path) -> Layout | None:
    """Where the city is; None without a configuration that can be read."""
    try:
        city = configuration.load(config)
    except ConfigError:
        return None
    store, read = city.store, city.page_store
    users = (broker.account, USER, WEB_USER, NOTIFY_USER, "root")  # root's city has its users
    if os.geteuid() != 0:
        users = (pwd.getpwuid(os.geteuid()).pw_name,) * 5
    return Layout(
        broker.directory.resolve(),
        config.resolve(),
        None if store.path is None else store.path.parent.resolve() / store.path.name,
        Path(sys.executable).with_name("titik"),
        *users,
        None if store.password_file is None else store.password_file.resolve(),
        None if read.password_file is None else read.password_file.resolve(),
        tuple(one.resolve() for one in paths(city)),
    )


def texts(place: Layout, broker: Mosquitto) -> dict[str, str]:
    """Every unit by its name."""
    shipping = {} if place.store is None else {SHIPPING: _shipping(place)}
    twin = {"titik-twin.service": _send(place), TWIN: _EVERY} if broker.has_twins else {}
    return (
        shipping
        | twin
        | ({} if broker.is_twin else _renewal(place, broker))
        | {
            "titik-broker.service": _broker(place, broker),
            COLLECTOR: _collector(place, broker),
            "titik-web.service": _web(place),
            "titik-notify.service": _notify(place, broker),
            "titik-public.service": _public(place),
            "titik-backup.service": _backup(place),
            "titik-backup.timer": _TIMER.format(
                what="back up every night", when="*-*-* 02:30:00", delay="1h"
            ),
            "titik-backup-verify.service": _verify(place),
            "titik-backup-verify.timer": _TIMER.format(
                what="verify the newest backup every week", when="Sun *-*-* 04:30:00", delay="1h"
            ),
        }
    )


def _broker(place: Layout, broker: Mosquitto) -> str:
    rights = _LOW_PORT if broker.lowest_port < LOW_PORTS else ""
    return _service(
        "broker",
        place.broker_user,
        f"{_quoted(place.program)} broker run {_quoted(place.directory)}",
        _DAEMON,
        _memory(MAX_MEMORY),
        f"TasksMax={MAX_TASKS}",
        f"ReadWritePaths={_quoted(place.directory)}",
        *([f"AmbientCapabilities={rights}"] if rights else []),
        rights=rights,
        install=_INSTALL,
    )


def _memory(most: int) -> str:
    return f"MemoryMax={most >> 20}M"


def _collector(place: Layout, broker: Mosquitto) -> str:
    secret = place.directory / "secrets" / f"{broker.collector}.password"
    return _service(
        "collector",
        place.collector_user,
        f"{_quoted(place.program)} collect --config {_quoted(place.config)}"
        " --password-file %d/broker",
        _DAEMON,
        "Type=notify",  # from its first turn on, which may come after a migration
        "TimeoutStartSec=infinity",
        "WatchdogSec=5min",
        # The broker's folder says its address; the password in it is root's alone.
        f"SupplementaryGroups={_group(place.broker_user)}",
        f"LoadCredential=broker:{str(secret).replace('%', '%%')}",
        _memory(MAX_COLLECTOR_MEMORY),
        f"TasksMax={MAX_COLLECTOR_TASKS}",
        "RuntimeDirectory=titik",
        "RuntimeDirectoryMode=0755",
        *_store_folder(place),
        after=" titik-broker.service",
        install=_INSTALL,
        umask=_SHARED,
    )


def _web(place: Layout) -> str:
    return _service(
        "page",
        place.web_user,
        f"{_quoted(place.program)} web --config {_quoted(place.config)}",
        _DAEMON,
        # The store's files are the collector's, and its group may read them.
        f"SupplementaryGroups={_group(place.collector_user)}",
        "CPUWeight=50",  # half as much as the collector
        _memory(MAX_PAGE_MEMORY),
        f"TasksMax={MAX_PAGE_TASKS}",
        *_desk_folder(place),
        after=" titik-collector.service",
        install=_INSTALL,
    )


def _notify(place: Layout, broker: Mosquitto) -> str:
    """It hears the collector's beat as an engineer, who may write nothing at the broker."""
    secrets: dict[str, tuple[str, Path]] = {}
    if broker.engineers:
        name = f"{reader_of(broker.engineers)}.password"
        secrets["broker"] = ("--password-file", place.directory / "secrets" / name)
    if place.page_password is not None:
        secrets["store"] = ("--store-password-file", place.page_password)
    options = "".join(f" {option} %d/{name}" for name, (option, _) in secrets.items())
    return _service(
        "messages to people",
        place.notify_user,
        f"{_quoted(place.program)} notify --config {_quoted(place.config)}{options}",
        _DAEMON,
        "Type=notify",
        "WatchdogSec=5min",
        # The broker's folder says its address; the store's group may read the store.
        f"SupplementaryGroups={_group(place.broker_user)} {_group(place.collector_user)}",
        *(
            f"LoadCredential={name}:{str(file).replace('%', '%%')}"
            for name, (_, file) in secrets.items()
        ),
        "CPUWeight=50",
        _memory(MAX_NOTIFY_MEMORY),
        f"TasksMax={MAX_NOTIFY_TASKS}",
        *_notify_folder(place),
        after=" titik-collector.service",
        install=_INSTALL,
        umask=_SHARED,
    )


def _public(place: Layout) -> str:
    """It is not enabled with the others: a city without a public page has none."""
    return _service(
        "public page",
        place.web_user,
        f"{_quoted(place.program)} public export --config {_quoted(place.config)}"
        " --every 60s %S/titik-public",
        _DAEMON,
        f"SupplementaryGroups={_group(place.collector_user)}",
        "CPUWeight=50",
        _memory(MAX_PAGE_MEMORY),
        f"TasksMax={MAX_COLLECTOR_TASKS}",
        "StateDirectory=titik-public",
        "StateDirectoryMode=0755",
        after=" titik-collector.service",
        install=_INSTALL,
        umask=_FOR_ALL,
    )


def _desk_folder(place: Layout) -> list[str]:
    """Made by root, for who may write the store's folder is another; no link in it is followed.

    The collector passes through it to what the page posts there, and reads nothing else.
    """
    if place.store is None:
        return []
    folder = folder_of(place.store)
    made = f"mkdir -p -m 710 {shlex.quote(str(folder))}"
    owner = f"{place.web_user}:{_group(place.collector_user)}"
    given = f"chown -hR {owner} {shlex.quote(str(folder))}"
    return [
        f"ExecStartPre=+/bin/sh -c {_word(f'{made} && {given}')}",
        f"ReadWritePaths={_quoted(folder)}",
    ]


def _notify_folder(place: Layout) -> list[str]:
    """Made by root, as the desk's; files in it are of the store's group, which may read them."""
    if place.store is None:
        return []
    folder = notify_folder_of(place.store)
    made = f"mkdir -p -m 2750 {shlex.quote(str(folder))}"
    owner = f"{place.notify_user}:{_group(place.collector_user)}"
    given = f"chown -hR {owner} {shlex.quote(str(folder))}"
    # A change of the owner may take the bit away by which new files are of the folder's group.
    # The collector's user may put a link in the folder's place: chmod would follow it.
    again = f"find {shlex.quote(str(folder))} -maxdepth 0 -type d -exec chmod 2750 {{}} +"
    return [
        f"ExecStartPre=+/bin/sh -c {_word(f'{made} && {given} && {again}')}",
        f"ReadWritePaths={_quoted(folder)}",
    ]


def _renewal(place: Layout, broker: Mosquitto) -> dict[str, str]:
    timer = _TIMER.format(
        what="renew the revocation list and the broker's certificate", when="weekly", delay="1h"
    )
    return {"titik-renew.service": _renew(place, broker), "titik-renew.timer": timer}


def _renew(place: Layout, broker: Mosquitto) -> str:
    return _service(
        "renewal",
        place.keys_user,
        f"{_quoted(place.program)} broker renew --due {_quoted(place.directory)}",
        "Type=oneshot",
        _memory(MAX_RENEWAL_MEMORY),
        f"TasksMax={MAX_TASKS}",
        f"ReadWritePaths={_quoted(place.directory)}",
        # To hand over what it makes, to find and signal mosquitto, another user's process, and to
        # hear from it that it has read the list.
        rights="CAP_CHOWN CAP_DAC_READ_SEARCH CAP_SYS_PTRACE CAP_KILL",
        families=_ANYWHERE if broker.has_twins else "AF_UNIX AF_INET",
    )


def _send(place: Layout) -> str:
    return _service(
        "bring other brokers to the same",
        place.keys_user,
        f"{_quoted(place.program)} broker twin send {_quoted(place.directory)}",
        "Type=oneshot",
        _memory(MAX_RENEWAL_MEMORY),
        f"TasksMax={MAX_TASKS}",
        f"ReadWritePaths={_quoted(place.directory)}",
        # To note what is not alike for mosquitto's group, and to read mosquitto's own file.
        rights="CAP_CHOWN CAP_DAC_READ_SEARCH",
    )


def _backup(place: Layout) -> str:
    return _service(
        "backup",
        place.keys_user,
        f"{_quoted(place.program)} backup --config {_quoted(place.config)}"
        f" --keep {MAX_BACKUPS} %S/titik-backups",
        "Type=oneshot",
        _memory(MAX_COLLECTOR_MEMORY),
        f"TasksMax={MAX_TASKS}",
        "StateDirectory=titik-backups",
        # The collector looks how old the newest one is. Each file is its owner's alone.
        "StateDirectoryMode=0755",
        *_store_folder(place),
        # To read what is the collector's and mosquitto's; SQLite's files stay the collector's.
        rights="CAP_CHOWN CAP_DAC_OVERRIDE",
        families="AF_UNIX" if place.store is not None else _ANYWHERE,
    )


def _verify(place: Layout) -> str:
    """Beside the backups, which are on a disk that has room for a store."""
    return _service(
        "look into the newest backup",
        place.keys_user,
        f"{_quoted(place.program)} backup verify --config {_quoted(place.config)} %S/titik-backups",
        "Type=oneshot",
        "CPUWeight=20",  # the collector comes first
        "IOWeight=20",
        _memory(MAX_COLLECTOR_MEMORY),
        f"TasksMax={MAX_TASKS}",
        "StateDirectory=titik-backups",
        "StateDirectoryMode=0755",
        families="AF_UNIX",
    )


def _shipping(place: Layout) -> str:
    """Where the operator has written what is to be shipped; elsewhere it is skipped.

    It writes beside the store, as the collector's user, and below what is mounted for copies.
    """
    file = place.config.with_name(LITESTREAM)
    path = f"PATH={place.program.parent}:/usr/local/bin:/usr/bin:/bin"
    return _service(
        "ship the store every few seconds",
        place.collector_user,
        f"/usr/bin/env {_word(path)} litestream replicate -config {_quoted(file)}",
        "Restart=always",
        "RestartSec=10",
        "CPUWeight=50",
        _memory(MAX_COLLECTOR_MEMORY),
        f"TasksMax={MAX_COLLECTOR_TASKS}",
        *_store_folder(place),
        "ReadWritePaths=-/mnt -/srv",
        after=f" titik-collector.service\nConditionPathExists={_quoted(file)}",
        install=_INSTALL,
        umask=_SHARED,
    )


def _store_folder(place: Layout) -> list[str]:
    """To write in; none where the store is on a server."""
    if place.store is None:
        return []
    return [f"ReadWritePaths={_quoted(place.store.parent)}"]


def _service(
    what: str,
    user: str,
    command: str,
    *own: str,
    after: str = "",
    rights: str = "",
    families: str = _ANYWHERE,
    install: str = "",
    umask: str = _OURS,
) -> str:
    """A unit with lines of its own, and what all of them have."""
    return _SERVICE.format(
        what=what,
        after=after,
        user=user,
        command=command,
        own="\n".join(own),
        sandbox=_SANDBOX.format(families=families, rights=rights, umask=umask),
        install=install,
    )


def _replace(folder: Path, new: dict[str, str], again: bool) -> list[str]:
    folder.mkdir(mode=0o755, exist_ok=True)
    changed = [name for name, text in new.items() if _read(folder / name) != text]
    for name in changed:
        replace_file(folder / name, new[name], Owner(-1, -1, 0o644))
    if not changed and not again:
        return []
    known = [*ENABLED.split(), SHIPPING, TWIN]
    enabled = " ".join(one for one in known if one in new or f"{one}.service" in new)
    return [
        f"{_INSTALL_THEM} {shlex.quote(str(folder))}/*; systemctl daemon-reload;"
        f" systemctl enable --now {enabled}"
    ]


def _group(account: str) -> str:
    """Whose folder the broker's is, where the collector finds the broker's address."""
    try:
        return str(pwd.getpwnam(account).pw_gid)
    except KeyError:
        return account


def _quoted(path: Path) -> str:
    """As systemd reads it: a blank would end it, and `%` begins what it replaces."""
    return _word(str(path))


def _word(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if any(one in text for one in " \\\"'") else text


def _read(file: Path) -> str | None:
    return file.read_text() if file.exists() else None
