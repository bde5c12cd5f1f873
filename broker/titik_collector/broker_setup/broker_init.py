"""Writes a complete private mosquitto configuration, and brings an older one up to date.

Rule: loopback only, unless there is TLS; an address without it needs `insecure`.
Rule: what is not asked for stays as it was; everything that changes is printed.
Rule: with TLS a router has certificates only, for a password would outlive their revocation.
"""

import ipaddress
import os
import pwd
import re
import shlex
import shutil
import socket
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from titik_collector.access import acl_files, rights
from titik_collector.access.passwords import read_secret
from titik_collector.broker_setup import broker_conf
from titik_collector.broker_setup.broker_folder import (
    BrokerError,
    BrokerFolder,
    Ports,
    Settings,
    write_settings,
)
from titik_collector.config.model import COLLECTOR_USER, ENGINEER
from titik_collector.config.schema import BEGINS
from titik_collector.files.locks import locked
from titik_collector.files.replace import Owner, replace_file
from titik_collector.limits import MAX_HOST, MAX_LISTED
from titik_collector.own_state.systemd import UNITS
from titik_collector.units import systemd_units
from titik_collector.units.systemd_units import LOW_PORTS
from titik_mqtt.endpoint import LOOPBACK, PORT, TLS_PORT
from titik_wire.kinds import SLUG

# There while Debian's own broker starts with the machine, on MQTT's port of this machine.
DEBIANS = UNITS / "multi-user.target.wants" / "mosquitto.service"
ANY_PORT = 0  # whichever is free: there is one wherever there is the address
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the operator asked for; None and (): as it was, or the default."""

    host: str | None = None
    file: Path | None = None
    listen: str | None = None
    engineer_listen: str | None = None
    router_port: int | None = None
    engineer_port: int | None = None
    collector_port: int | None = None
    collector_listen: str | None = None
    away_port: int | None = None
    collector: str | None = None
    collector_id: str | None = None
    engineers: tuple[str, ...] = ()
    routers: tuple[str, ...] = ()
    insecure: bool = False  # an address that others reach, without TLS
    move: bool = False  # to other ports where somebody else has taken its own since
    force: bool = False


def init(path: Path, request: Request) -> tuple[BrokerFolder, list[str]]:
    """Make or update the directory; also what was done, a line each."""
    _check_host(request.host)
    _check_address(request.listen)
    _check_address(request.engineer_listen)
    _check_address(request.collector_listen)
    with locked(path):
        return _init(path, request)


def _init(path: Path, request: Request) -> tuple[BrokerFolder, list[str]]:
    before = _before(path)
    if before is not None:
        before.check_first()
    settings = _settings(request, before)
    _check_names(settings, request.routers)
    _check_new_names(request, before)
    _check_secure(settings, request)
    directory = BrokerFolder(path, settings)
    if settings.host is not None and directory.authority.begun:
        directory.authority.check()
    cut_off = [] if before is None else _cut_off(before, settings)
    lines = [] if before is None else _differences(before.settings, settings)
    new_host = settings.host is not None and (before is None or before.settings.host is None)
    if request.router_port is None and (before is None or new_host):
        lines += _passed_over(settings)
    if before is not None and new_host:
        lines += _keep_engineers(before.settings.engineers)
    asked = set(request.routers)
    ended = [] if before is None else _ended(before, settings)
    if request.force and before is not None:
        asked |= set(_routers_with_secrets(before))
        lines += _forget(before)
    make_folders(directory)
    write_settings(path, settings)
    if settings.host is not None:
        lines += _make_authority(directory, before)
        lines += systemd_units.write(for_units(directory), request.file)
    lines += cut_off
    lines += write_config(directory)
    lines += acl_files.by_hand(path, _ctl(directory), _roles(settings))
    lines += bring_together(directory, asked, ended)
    if directory.reload():
        lines.append("mosquitto is running: start it again to take changed ports and addresses")
    return directory, lines


def for_units(made: BrokerFolder) -> systemd_units.Mosquitto:
    settings, ports = made.settings, made.ports
    return systemd_units.Mosquitto(
        directory=made.path,
        account=settings.account,
        collector=settings.collector,
        engineers=settings.engineers,
        lowest_port=min(ports.router, ports.engineer, ports.collector),
        has_twins=bool(settings.twins),
        is_twin=made.is_twin,
    )


def bring_together(
    directory: BrokerFolder, asked: Collection[str] = (), ended: Collection[str] = ()
) -> list[str]:
    """Let in at the broker who settings, secrets and certificates name; what was done.

    `asked`: routers of a trial, which get passwords. `ended`: whose password ends.
    """
    with locked(directory.path):
        secrets, was_whole = set(_with_secrets(directory)), is_whole(directory)
        wanted, gone = _routers(directory, asked)
        new = directory.reconcile(wanted, gone | set(ended))
    made = [name for name in _with_secrets(directory) if name not in secrets]
    lines = []
    if secrets and not was_whole:
        lines.append(f"made {directory.access_file} for {len(new)} users")
    if made := [name for name in made if name in new]:
        lines.append(f"made passwords for {listed(made)} in {directory.path / 'secrets'}")
    return lines + _lines_of_ended(directory, ended)


def _routers(directory: BrokerFolder, asked: Collection[str]) -> tuple[set[str], set[str]]:
    """Who is let in, and who no longer is, whatever the plugin's file says."""
    if directory.settings.host is None:
        wanted = {*asked, *_routers_with_secrets(directory)}
        known = acl_files.passwords(directory.path)  # an earlier version may have changed them
        return wanted, set(directory.routers()) - set(known) - wanted if known else set()
    issued = directory.authority.readable()
    good = {one.router for one in issued if not one.revoked}
    return good, {one.router for one in issued} - good


def unknown(directory: BrokerFolder) -> list[str]:
    """Routers with a good certificate that the broker lets do nothing."""
    good, _ = _routers(directory, ())
    return sorted(good - set(directory.users()))


def is_whole(directory: BrokerFolder) -> bool:
    """Whether the plugin's file can be read."""
    try:
        directory.users()
    except BrokerError:
        return False
    return True


def _with_secrets(directory: BrokerFolder) -> list[str]:
    """Who has a password in a file that can be read."""
    files = (directory.path / "secrets").glob("*.password")
    return sorted(one.name.removesuffix(".password") for one in files if read_secret(one))


def _routers_with_secrets(directory: BrokerFolder) -> list[str]:
    return [name for name in _with_secrets(directory) if name not in directory.reserved()]


def _before(path: Path) -> BrokerFolder | None:
    """What an earlier init made; a directory that is somebody else's is left alone."""
    if (path / "broker.toml").exists():
        return BrokerFolder.open(path)
    if path.is_dir() and any(path.iterdir()):
        raise BrokerError(f"{path}: holds something else; give a directory of its own")
    if path.exists() and not path.is_dir():
        raise BrokerError(f"{path}: is no directory")
    return None


def _settings(request: Request, before: BrokerFolder | None) -> Settings:
    if before is None:
        was = Settings(
            account=account(),
            listen=LOOPBACK,
            engineer_listen=LOOPBACK,
            collector=COLLECTOR_USER,
            collector_id="main",
            engineers=(ENGINEER,),
            ports=Ports(router=0, engineer=0, collector=0),
        )
    else:
        was = replace(before.settings, account=account())
    settings = replace(
        was,
        listen=request.listen or was.listen,
        engineer_listen=request.engineer_listen or was.engineer_listen,
        collector_listen=request.collector_listen or was.collector_listen,
        collector=request.collector or was.collector,
        collector_id=request.collector_id or was.collector_id,
        engineers=tuple(dict.fromkeys([*was.engineers, *request.engineers])),
        host=request.host or was.host,
    )
    if request.host is not None and was.host is None:  # from now on the world may come
        settings = replace(
            settings,
            listen=request.listen or "0.0.0.0",
            engineer_listen=request.engineer_listen or "0.0.0.0",
            ports=replace(settings.ports, router=0, engineer=0),
        )
    return replace(settings, ports=_ports(request, settings, before))


def listeners(settings: Settings) -> dict[str, tuple[str, int]]:
    """Address and port of each, by the option that chooses the port."""
    ports = settings.ports
    found = {
        "--port": (settings.listen, ports.router),
        "--engineer-port": (settings.engineer_listen, ports.engineer),
        "--collector-port": (LOOPBACK, ports.collector),
    }
    if settings.collector_listen is not None:
        found["--away-port"] = (settings.collector_listen, ports.away or 0)
    return found


def _ports(request: Request, settings: Settings, before: BrokerFolder | None) -> Ports:
    """As asked for, else as they were, else the first that are free on this machine."""
    was = listeners(settings)
    if request.move and (before is None or before.pid() is None):
        was = {name: (at, port if is_free(at, port) else 0) for name, (at, port) in was.items()}
    asked = (request.router_port, request.engineer_port, request.collector_port, request.away_port)
    chosen = {
        option: (address, new or old)
        for (option, (address, old)), new in zip(was.items(), asked, strict=False)
    }
    taken = [port for _, port in chosen.values() if port]
    if len(set(taken)) != len(taken):
        raise BrokerError(f"the listeners need a port each, not {', '.join(map(str, taken))}")
    _check_free(chosen, before, settings.host)
    first: tuple[int, ...] = (PORT,) * 3  # MQTT's own; the others follow it
    if settings.host is not None:
        first = (TLS_PORT, TLS_PORT + 1, PORT, TLS_PORT + 2)
    ports = []
    for (address, port), begin in zip(chosen.values(), first, strict=False):
        ports.append(port or _free_port(address, begin, taken))
        taken.append(ports[-1])
    router, engineer, collector, *away = ports
    return Ports(router=router, engineer=engineer, collector=collector, away=next(iter(away), None))


def _check_free(
    chosen: dict[str, tuple[str, int]], before: BrokerFolder | None, host: str | None
) -> None:
    """BrokerError where a listener comes to a place that is another program's, or the system's."""
    were = {} if before is None else listeners(before.settings)
    own = set() if before is None else before.listening()
    for option, (address, port) in chosen.items():
        if port in own or not port or were.get(option) == (address, port):
            continue
        if host is None and port < LOW_PORTS:
            raise BrokerError(
                f"port {port} is for services alone, as --host makes one; choose another with"
                f" {option} N, from {LOW_PORTS} on"
            )
        if not is_free(address, port):
            raise BrokerError(
                f"port {port} of {address} is not free; {to_free(port)}, or choose another with"
                f" {option} N"
            )


def _passed_over(settings: Settings) -> list[str]:
    """Why a new listener is not where agents, or an operator, look for one."""
    first, port = PORT if settings.host is None else TLS_PORT, settings.ports.router
    return [] if port == first else [f"port {first} is in use, routers use {port}"]


def _free_port(address: str, first: int, taken: list[int]) -> int:
    last = first + 999
    for port in range(first, last + 1):
        if port not in taken and is_free(address, port):
            return port
    raise BrokerError(f"no port from {first} to {last} is free; name one with --port")


def is_free(address: str, port: int) -> bool:
    """Whether a listener could be opened there now."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As mosquitto does: only another listener is in the way, no connection that lingers.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))  # and no more: no one may meet a listener of ours
        except PermissionError:  # as of a low port: whether it is free is not ours to see
            return True
        except OSError:
            return False
    return True


def to_free(port: int) -> str:
    """What to do about a port that is not free."""
    if port == PORT and DEBIANS.is_symlink():
        return "stop what holds it (if it is Debian's own: systemctl disable --now mosquitto)"
    return "stop what holds it"


def in_the_way(made: BrokerFolder) -> list[str]:
    """What the broker could not start beside, a line each; none while it runs."""
    if made.pid() is not None:
        return []
    return [
        f"port {port} of {address} is not free, and the broker needs it: first {to_free(port)}"
        for address, port in listeners(made.settings).values()
        if not is_free(address, port)
    ]


def account() -> str:
    """Who mosquitto runs as: never root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    for name in ("mosquitto", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise BrokerError("there is no account mosquitto; apt-get install mosquitto")


def _check_address(address: str | None) -> None:
    if address is None:
        return
    try:
        ipaddress.ip_address(address)
    except ValueError as error:
        raise BrokerError(
            f"{address}: is no address; give one of this machine's, 0.0.0.0 for all of them"
        ) from error
    if not is_free(address, ANY_PORT):
        raise BrokerError(
            f"{address}: is no address of this machine; give one that is, 0.0.0.0 for all of them"
        )


def _check_secure(settings: Settings, request: Request) -> None:
    """A trial is for this machine: others would hear every password on the way."""
    if settings.host is None and settings.collector_listen is not None:
        raise BrokerError(
            "--collector-listen: is for a broker with TLS alone; give --host NAME as well"
        )
    if settings.host is not None or request.insecure:
        return
    for option, address in (
        ("--listen", request.listen),
        ("--engineer-listen", request.engineer_listen),
    ):
        if address is not None and not ipaddress.ip_address(address).is_loopback:
            raise BrokerError(
                f"{option} {address}: without --host passwords and reports travel unencrypted, so"
                " the broker listens to this machine alone; give --host NAME for certificates and"
                " TLS, or --insecure"
            )


def _check_host(host: str | None) -> None:
    """It goes into a certificate and into every bundle."""
    if host is None or _is_name(host):
        return
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise BrokerError(
            f"--host {host}: is no DNS name and no address; use one such as mqtt.example.org"
        ) from error


def _is_name(host: str) -> bool:
    """A DNS name; a last label of digits makes it an address that is written wrongly."""
    labels = host.split(".")
    return (
        len(host) <= MAX_HOST
        and all(_LABEL.fullmatch(one) for one in labels)
        and not labels[-1].isdigit()
    )


def _check_names(settings: Settings, routers: Iterable[str]) -> None:
    users = [settings.collector, *settings.engineers]
    for name in {*users, *routers}:
        if re.fullmatch(SLUG, name) is None:  # it becomes part of topics and roles
            raise BrokerError(f"{name!r}: is no user name; use a-z, 0-9 and -, 64 at most")
        if users.count(name) > 1 and name == settings.collector:
            raise BrokerError(f"{name}: is the collector's user; name the engineer otherwise")
        if (name in routers) + users.count(name) > 1:
            raise BrokerError(f"{name}: is the name of more than one user; name one otherwise")


def _check_new_names(request: Request, before: BrokerFolder | None) -> None:
    known = () if before is None else before.settings.engineers
    for name in request.engineers:
        if name not in known and not name[0].isalnum():
            raise BrokerError(f"{name}: begins with -; {BEGINS}")


def _differences(old: Settings, new: Settings) -> list[str]:
    """What a second init changes, a line each."""
    pairs = {
        "address for routers": (old.listen, new.listen),
        "address for engineers": (old.engineer_listen, new.engineer_listen),
        "port for routers": (old.ports.router, new.ports.router),
        "port for engineers": (old.ports.engineer, new.ports.engineer),
        "port for the collector": (old.ports.collector, new.ports.collector),
        "address for collectors on other machines": (old.collector_listen, new.collector_listen),
        "port for collectors on other machines": (old.ports.away, new.ports.away),
        "the collector's user": (old.collector, new.collector),
        "the collector's id": (old.collector_id, new.collector_id),
        "account of mosquitto": (old.account, new.account),
    }
    return [f"{name}: {was} is now {now}" for name, (was, now) in pairs.items() if was != now]


def _forget(before: BrokerFolder) -> list[str]:
    """--force: new passwords for everybody, and an empty broker."""
    pid = before.pid()
    if pid is not None:
        raise BrokerError(f"{before.path}: mosquitto (process {pid}) runs on it; stop it first")
    lines = ["--force: every password is new, sessions and retained messages are gone"]
    if files := sorted(one.stem for one in (before.path / "secrets").glob("*.sh")):
        lines.append(f"--force: new files are needed for {listed(files)}: titik engineer add NAME")
    shutil.rmtree(before.path / "secrets")
    shutil.rmtree(before.path / "data")
    return lines


def make_folders(directory: BrokerFolder) -> None:
    """The directory is open to mosquitto's group, data is mosquitto's, secrets are ours."""
    path, its = directory.path, directory.owner(0o700)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BrokerError(
            f"{path}: cannot be made ({error.strerror}); give a directory where you may make one"
        ) from error
    os.chown(path, -1, its.gid)
    path.chmod(0o700 if its.uid == -1 else 0o750)
    for name, uid, gid in (("secrets", -1, -1), ("data", its.uid, its.gid)):
        folder = path / name
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        os.chown(folder, uid, gid)
    for file in (path / "data").iterdir():
        os.chown(file, its.uid, its.gid, follow_symlinks=False)


def write_config(directory: BrokerFolder) -> list[str]:
    ours = Owner(-1, directory.owner(0).gid, 0o640)
    return _replace(directory.config_file, broker_conf.text(directory.settings), ours)


def _ctl(directory: BrokerFolder) -> str:
    """mosquitto's own tool, at this broker and with all rights."""
    secret = shlex.quote(str(directory.password_file(rights.CONTROL).resolve()))
    return (
        f"mosquitto_ctrl -p {directory.ports.collector} -i titik:ctl -u {rights.CONTROL}"
        f' -P "$(cat {secret})" dynsec'
    )


def _roles(settings: Settings) -> dict[str, str]:
    """Of who is no router."""
    found = dict.fromkeys(settings.engineers, rights.ENGINEER)
    return {**found, settings.collector: rights.collector_role(settings.collector_id)}


def _make_authority(directory: BrokerFolder, before: BrokerFolder | None) -> list[str]:
    """Keys and certificates that are not there yet, and a server's for a new name."""
    authority, host = directory.authority, directory.settings.host
    assert host is not None
    lines = []
    if authority.make(f"Titik city CA of {host}"):
        lines.append(f"made the city's certificate authority; back up {directory.path / 'ca'}")
        directory.succession.make_next(host)
    was = None if before is None else before.settings.host
    if was != host or not authority.has_server:
        authority.certify_server(host)
        lines.append(f"made the broker's certificate for {host}")
    authority.hand_over()
    authority.write_crl()
    return lines


def _cut_off(before: BrokerFolder, now: Settings) -> list[str]:
    """Who knows the broker by another name or port, and what lets them in again."""
    was, back = before.settings, f"change back: titik broker init {before.path}"
    if was.host is None and now.host is not None:
        return []  # the routers' passwords end, which is printed
    routers, engineers = _enrolled(before)
    lines = []
    if was.host not in (None, now.host) and (routers or engineers):
        lines.append(
            f"warning: of {len(routers)} enrolled routers and {len(engineers)} engineers those who"
            f" know this broker as {was.host} are cut off, for its certificate names {now.host}"
            f" now; {back} --host {was.host}; or give each a new file: titik router rotate NAME,"
            " titik engineer add NAME"
        )
    if was.ports.router != now.ports.router and routers:
        remedy = "a new file, also where the old one was not run yet: titik router rotate NAME"
        remedy = remedy if was.host is not None else f"the line: port = {now.ports.router}"
        lines.append(
            f"warning: {len(routers)} routers ({listed(routers)}) know port {was.ports.router} and"
            f" are cut off; {back} --port {was.ports.router}; or give each {remedy}"
        )
    if was.ports.engineer != now.ports.engineer and engineers:
        lines.append(
            f"warning: {len(engineers)} engineers ({listed(engineers)}) know port"
            f" {was.ports.engineer} and are cut off; {back} --engineer-port {was.ports.engineer};"
            " or give each a new file: titik engineer add NAME"
        )
    return lines


def _enrolled(before: BrokerFolder) -> tuple[list[str], list[str]]:
    """Routers and engineers that were given something with the broker's name and port in it."""
    if before.settings.host is None:
        return before.routers(), []
    authority = before.authority  # an init that was cut short may have left none
    issued = authority.issued() if authority.begun else []
    routers = {one.router for one in issued if not one.revoked}
    engineers = [
        name
        for name in before.settings.engineers
        if name != ENGINEER or (before.path / "secrets" / f"{name}.sh").exists()
    ]
    return sorted(routers), engineers


def _keep_engineers(engineers: tuple[str, ...]) -> list[str]:
    return [
        f"engineers keep their passwords ({listed(list(engineers))}) and read over TLS from now on;"
        " titik engineer add NAME writes a file that has what they need"
    ]


def end_router_passwords(directory: BrokerFolder) -> list[str]:
    """What is left of a trial or of an earlier version, where there is TLS; what was done."""
    ended = _ended(directory, directory.settings)
    return bring_together(directory, (), ended) if ended else []


def _ended(before: BrokerFolder, settings: Settings) -> list[str]:
    """Routers whose passwords end because there is TLS now; their files are gone."""
    ended = [] if settings.host is None else before.routers()
    left = [] if settings.host is None else _routers_with_secrets(before)
    if before.settings.collector != settings.collector:
        left.append(before.settings.collector)
    for name in (*ended, *left):  # who is given such a name later must not have its old one
        before.password_file(name).unlink(missing_ok=True)
    return ended


def _lines_of_ended(directory: BrokerFolder, routers: Collection[str]) -> list[str]:
    """A router that has nothing else is cut off, and a line names it."""
    if not routers:
        return []
    lines = [
        f"ended the passwords of {listed(sorted(routers))}:"
        " with --host routers have certificates only"
    ]
    certified = {one.router for one in directory.authority.readable()}
    bare = [name for name in sorted(routers) if name not in certified]
    if bare:
        lines.append(
            f"warning: cut off until they have certificates: {listed(bare)}; for each one: titik"
            " router add NAME --site SITE, and run the file that it writes on the router"
        )
    return lines


def remove_engineer(directory: BrokerFolder, name: str) -> None:
    """Take an engineer out; a running broker cuts its tools off."""
    with locked(directory.path):
        before = BrokerFolder.open(directory.path)
        before.users()  # an error before anything is changed, if it cannot be read
        settings = before.settings
        left = tuple(one for one in settings.engineers if one != name)
        if left == settings.engineers:
            raise BrokerError(f"{name}: is no engineer; there are {', '.join(left)}")
        made = BrokerFolder(directory.path, replace(settings, engineers=left))
        write_settings(made.path, made.settings)
        made.remove_users([name])


def _replace(file: Path, text: str, whose: Owner) -> list[str]:
    """Write the file; what was in it before is kept beside it if it was different."""
    lines = []
    if file.exists() and file.read_text() != text:
        old = file.with_name(file.name + ".old")
        file.replace(old)
        lines.append(f"{file.name} is written again, the one before is {old.name}")
    replace_file(file, text, whose)
    return lines


def listed(names: Sequence[str]) -> str:
    """The first of them, where a city's would fill the screen."""
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
