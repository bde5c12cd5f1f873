"""The folder of a private mosquitto: what is in it, who may read it, and its users.

    broker.toml       what `titik broker init` decided: addresses, ports, users
    broker.conf       mosquitto's configuration
    secrets/*.password  secrets/control        each user's password, for its owner alone
    data/dynamic-security.json                 who may do what, see access/rights.py
    data/             mosquitto's database and process id

Rule: mosquitto runs inside the folder on relative paths. So only the folder itself must be
open to the account that mosquitto drops to, and none of its parents.
Rule: what exists is kept; only `force` makes new passwords or empties the database.
Rule: who may do what follows from settings, secrets and certificates. A broker that runs is
commanded and writes its file itself; while none runs the file is edited.
"""

import json
import os
import pwd
import shlex
import signal
import tomllib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import psutil

from titik_collector.access import acl_files, plugin_file, rights
from titik_collector.access.passwords import make_secret, read_secret
from titik_collector.access.plugin_control import Control
from titik_collector.access.plugin_file import Access
from titik_collector.config.model import Config
from titik_collector.config.schema import (
    FLAG,
    NAME,
    ConfigError,
    Setting,
    Table,
    names,
    read,
    text,
    texts,
    whole,
)
from titik_collector.enrolment.authority import Authority, bring_back
from titik_collector.enrolment.succession import Succession
from titik_collector.files.locks import locked
from titik_collector.files.replace import Owner, replace_file, sync
from titik_collector.limits import MAX_ENGINEERS, MAX_HOST, MAX_TWIN, MAX_TWINS
from titik_collector.wording.mendable import Mendable
from titik_mqtt.endpoint import LOOPBACK
from titik_mqtt.failures import LinkDown

PLUGIN = "mosquitto_dynamic_security.so"
ENDED = "its session is ended"
NAME_IT = 'set directory = "DIR" under [broker] to what `titik broker init DIR` made'


class BrokerError(Mendable):
    """The broker's directory or program is not as it must be; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """[ports]"""

    router: Annotated[int, Setting(whole(1, 65535), "the routers' listener")]
    engineer: Annotated[int, Setting(whole(1, 65535), "the engineers' listener")]
    collector: Annotated[int, Setting(whole(1, 65535), "the collector's listener")]
    away: Annotated[
        int | None,
        Setting(whole(1, 65535), "the listener of collectors on other machines", "none"),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """broker.toml"""

    account: Annotated[str, Setting(text(32), "the account that mosquitto runs as")]
    listen: Annotated[str, Setting(text(64), "the address of the routers' listener")]
    engineer_listen: Annotated[str, Setting(text(64), "the address of the engineers' listener")]
    collector: Annotated[str, Setting(NAME, "the collector's user")]
    collector_id: Annotated[str, Setting(NAME, "the collector's id")]
    engineers: Annotated[tuple[str, ...], Setting(names(MAX_ENGINEERS), "the engineers' users")]
    ports: Annotated[Ports, Setting(Table(Ports), "the listeners' ports")]
    host: Annotated[
        str | None, Setting(text(MAX_HOST), "the name in the broker's certificate", "no TLS")
    ] = None
    collector_listen: Annotated[
        str | None,
        Setting(text(64), "the address of the listener of collectors on other machines", "none"),
    ] = None
    twins: Annotated[
        tuple[str, ...] | None,
        Setting(texts(MAX_TWINS, MAX_TWIN), "the brokers that are kept alike", "none"),
    ] = None
    is_twin: Annotated[
        bool | None, Setting(FLAG, "whether another machine's broker is the first", "no")
    ] = None


class BrokerFolder:
    """An initialised directory; make one with `broker_init.init`, find one with `open`."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self.path = path
        self.settings = settings

    @classmethod
    def open(cls, path: Path) -> "BrokerFolder":
        """BrokerError if there is none."""
        file = path / "broker.toml"
        try:
            content = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise BrokerError(
                f"{path}: no broker there; make it: titik broker init {path} --config titik.toml;"
                " or let directory under [broker] of titik.toml name the one that there is"
            ) from error
        except PermissionError as error:
            raise BrokerError(f"{file}: may not be read; run as its owner or as root") from error
        try:
            return cls(path, read(Settings, tomllib.loads(content.decode()), file))
        except (ValueError, ConfigError) as error:
            remedy = bring_back(path, "broker.toml")
            raise BrokerError(f"{file}: damaged ({error}); {remedy}") from error

    @classmethod
    def of(cls, city: Config, made_there: str) -> "BrokerFolder":
        """The one that the file names; BrokerError if it names none, with what another makes."""
        if city.broker.directory is None:
            raise BrokerError(
                f"{city.file}: broker.directory is not set, so {made_there} are made at your"
                f" broker; {NAME_IT}"
            )
        return cls.open(city.broker.directory)

    @property
    def is_twin(self) -> bool:
        """Whether another machine's broker is the first; who brings its key here makes this it."""
        return bool(self.settings.is_twin) and not (self.path / "ca" / "ca.key").exists()

    def check_first(self) -> None:
        """BrokerError where changes of the city are made at another broker."""
        if self.is_twin:
            raise BrokerError(
                f"{self.path}: is a twin, which is kept as the city's first broker is; type this"
                " there; if that machine is gone for good, make this the first: "
                + bring_back(self.path, "ca/ca.key")
            )

    @property
    def ports(self) -> Ports:
        return self.settings.ports

    @property
    def host(self) -> str:
        """The address at which programs on this machine reach the routers' listener."""
        return local(self.settings.listen)

    @property
    def engineer_host(self) -> str:
        """The address at which programs on this machine reach the engineers' listener."""
        return local(self.settings.engineer_listen)

    def watch(self, engineer: str) -> str:
        """What an engineer types on this machine where there is no TLS; topics are to follow."""
        return (
            f"mosquitto_sub -h {self.engineer_host} -p {self.ports.engineer} -u {engineer}"
            f' -P "$(cat {shlex.quote(str(self.password_file(engineer)))})" -v'
        )

    @property
    def authority(self) -> Authority:
        """The city's own; BrokerError if the broker was made without `--host`."""
        if self.settings.host is None:
            raise BrokerError(
                f"{self.path}: is without TLS, so there is no certificate;"
                f" titik broker init {self.path} --host NAME makes them"
            )
        return Authority(self.path, self.owner(0o600))

    @property
    def succession(self) -> Succession:
        """The authorities one after another; BrokerError as `authority`."""
        return Succession(self.path, self.authority, self.owner(0o600))

    @property
    def config_file(self) -> Path:
        return self.path / "broker.conf"

    @property
    def access_file(self) -> Path:
        """The plugin's own, which it writes itself while mosquitto runs."""
        return self.path / "data" / plugin_file.FILE

    @property
    def database(self) -> Path:
        return self.path / "data" / "mosquitto.db"

    def password_file(self, user: str) -> Path:
        """Where a user's password lies."""
        name = "control" if user == rights.CONTROL else f"{user}.password"
        return self.path / "secrets" / name

    def bundle_file(self, user: str) -> Path:
        """Where the file lies that makes a machine a router, or an engineer's tools its readers."""
        return self.path / "secrets" / f"{user}.sh"

    def password(self, user: str) -> str:
        """A user's password; BrokerError if it has none or is not ours to read."""
        file = self.password_file(user)
        try:
            password = read_secret(file)
        except PermissionError as error:
            raise BrokerError(f"{file}: may not be read; run as its owner or as root") from error
        if password is not None:
            return password
        if not file.exists() and user == rights.CONTROL:
            raise BrokerError(
                f"{file}: is missing; stop the broker, titik broker init {self.path}, start it"
            )
        if not file.exists():
            raise BrokerError(f"{file}: no such user")
        raise BrokerError(f"{file}: is damaged; make another: titik broker init {self.path}")

    def users(self) -> list[str]:
        """Everybody that the broker lets in, by name."""
        return [name for name in self._read().clients() if name != rights.CONTROL]

    def routers(self) -> list[str]:
        """Every router that has a password; with TLS none may have one, see `broker_init`."""
        names = set(acl_files.passwords(self.path))
        with suppress(BrokerError):
            known = self._read()
            names |= {one for one in known.clients() if known.hash_of(one) is not None}
        return sorted(names - self.reserved())

    def reserved(self) -> set[str]:
        """Names that no router can have."""
        return {self.settings.collector, *self.settings.engineers, rights.CONTROL}

    def admit(self, users: Iterable[str]) -> list[str]:
        """Let them in, with a password of their own unless a certificate says who they are.

        Those that are new or have another password.
        """
        with self._editing() as known:
            return [user for user in users if self._put(known, user)]

    def remove_users(self, users: Iterable[str]) -> list[str]:
        """Forget users, which ends their sessions; those that there were."""
        users = list(users)
        with self._editing() as known:
            gone = [user for user in users if self._drop(known, user)]
        for user in users:
            self.password_file(user).unlink(missing_ok=True)
        return gone

    def reconcile(self, routers: Iterable[str], gone: Collection[str]) -> list[str]:
        """Let in who the folder says, and no one of `gone`; as `admit`.

        Who is neither among them nor among `routers` stays as it is.
        """
        wanted = [rights.CONTROL, self.settings.collector, *self.settings.engineers]
        wanted += [name for name in routers if name not in self.reserved()]
        current = rights.collector_role(self.settings.collector_id)
        with self._editing(mend=True) as known:
            known.deny_by_default()
            new = [user for user in wanted if self._put(known, user)]
            self._adopt(known)
            for user in set(known.clients()) - set(wanted):
                roles = known.roles_of(user)
                if user in gone or any(map(rights.is_of_one_of_few, roles)):
                    self._drop(known, user)
            for role in known.roles():
                if rights.is_of_one_of_few(role) and role not in (current, rights.ENGINEER):
                    known.drop_role(role)
        return [user for user in new if user != rights.CONTROL]

    def cut_off(self, router: str) -> str:
        """Forget a router whose certificates are revoked; what became of its session, in words.

        Its status is `offline` from now on.
        """
        self.reload()  # first: it would come back with the certificate
        self.remove_users([router])
        if not self._is_commanded():
            return self._not_commanded()
        with self._control() as control:
            control.publish_offline(router)
        return ENDED

    def interrupt(self, router: str) -> str:
        """End the session of a router that comes back with another certificate; as `cut_off`."""
        self.reload()
        if not self._is_commanded():
            return self._not_commanded()
        with self._control() as control:
            commands = ("disableClient", "enableClient")
            control.send([{"command": one, "username": router} for one in commands])
        return ENDED

    def _not_commanded(self) -> str:
        if self.pid() is None:
            return "the broker is not running"
        return "its session ends when the broker, which an earlier version began, is started again"

    def _put(self, known: Access, user: str) -> bool:
        if user == rights.CONTROL:
            known.put_role(user, rights.of_control())
            # Bound to the collector's listener: elsewhere a client id is another.
            return known.put_client(user, [user], self._secret(user), client_id=user)
        if user == self.settings.collector:
            role = rights.collector_role(self.settings.collector_id)
            known.put_role(role, rights.of_collector(self.settings.collector_id))
            return known.put_client(user, [role], self._secret(user))
        if user in self.settings.engineers:
            known.put_role(rights.ENGINEER, rights.of_engineers())
            return known.put_client(user, [rights.ENGINEER], self._secret(user))
        own = rights.router_role(user)
        known.put_role(rights.ROUTER, rights.of_routers())
        known.put_role(own, rights.of_router(user))
        password = self._secret(user) if self.settings.host is None else None
        return known.put_client(user, [rights.ROUTER, own], password)

    def _adopt(self, known: Access) -> None:
        """Routers of a trial whose password the earlier version's file has, and none of ours."""
        if self.settings.host is not None or self._is_commanded():
            return
        for user, hashed in acl_files.passwords(self.path).items():
            if user not in known.clients() and user not in self.reserved():
                own = rights.router_role(user)
                known.put_role(own, rights.of_router(user))
                known.adopt(user, [rights.ROUTER, own], hashed)

    def _drop(self, known: Access, user: str) -> bool:
        gone = known.drop_client(user)
        known.drop_role(rights.router_role(user))
        return gone

    def _secret(self, user: str) -> str:
        """A user's password; made if there is none."""
        file = self.password_file(user)
        password = read_secret(file)
        if password is None:
            file.unlink(missing_ok=True)
            password = make_secret(file)
        return password

    @contextmanager
    def _editing(self, mend: bool = False) -> Iterator[Access]:
        """The plugin's file, which is written, or the broker commanded, at the end of the block.

        `mend`: a new one takes the place of one that is lost or damaged.
        """
        with locked(self.path):
            known = self._mended() if mend else self._read()
            yield known
            if not known.commands:
                return
            if self._is_commanded():
                with self._control() as control:
                    control.send(known.commands)
                # mosquitto writes it in place and leaves it to the kernel: a power cut within half
                # a minute of a command would lock everybody out.
                sync(self.access_file)
                acl_files.end(self.path)
                return
            replace_file(self.access_file, known.text(), self.owner(0o600))
            acl_files.follow(self.path, known, self.settings.engineers, self.owner(0o600))
            if acl_files.exists(self.path):
                self.reload()

    def _read(self) -> Access:
        """BrokerError where it is lost or damaged."""
        remedy = f"make it again: titik broker init {self.path}"
        try:
            return Access(self.access_file.read_bytes())
        except FileNotFoundError as error:
            raise BrokerError(f"{self.access_file}: is missing; {remedy}") from error
        except ValueError as error:
            raise BrokerError(f"{self.access_file}: damaged ({error}); {remedy}") from error

    def _mended(self) -> Access:
        try:
            return self._read()
        except BrokerError:
            if not self._is_commanded():
                if self.access_file.exists():  # an operator may have added to it
                    self.access_file.replace(self.access_file.with_suffix(".damaged"))
                return Access()
        with self._control() as control:  # which knows it all, and writes it at each change
            control.send([plugin_file.DENY_BY_DEFAULT])
        return self._read()

    @contextmanager
    def _control(self) -> Iterator[Control]:
        """One at a time, for they have one client id; BrokerError if the broker does not obey."""
        try:
            with locked(self.path), self._connected(self.password(rights.CONTROL)) as control:
                yield control
        except LinkDown as error:
            raise BrokerError(
                f"{self.path}: {error}; stop the broker, titik broker init {self.path}, start it"
            ) from error

    def _connected(self, password: str) -> Control:
        try:
            return Control(self.ports.collector, password).open()
        except LinkDown:
            # The collector's port may have been another when the broker was started.
            for port in self.listening() - {self.ports.collector}:
                with suppress(LinkDown):
                    return Control(port, password).open()
            raise

    def listening(self) -> set[int]:
        """The ports of the mosquitto that runs here; after an init the settings' may be others."""
        pid = self.pid()
        if pid is None:
            return set()  # without asking after the sockets of every process
        return {
            one.laddr.port
            for one in psutil.net_connections("tcp")
            if one.pid == pid and one.laddr and one.status == psutil.CONN_LISTEN
        }

    def _is_commanded(self) -> bool:
        """Whether a broker runs that has the plugin, and not one of before."""
        pid = self.pid()
        if pid is None:
            return False
        try:
            return PLUGIN in Path(f"/proc/{pid}/maps").read_text()
        except FileNotFoundError:
            return False
        except PermissionError as error:
            raise BrokerError(
                f"{self.path}: mosquitto (process {pid}) is not ours to command; run as root"
            ) from error

    def owner(self, mode: int) -> Owner:
        """What mosquitto itself must own, after it has dropped root."""
        return owner(self.settings.account, mode)

    def pid(self) -> int | None:
        """The process id of the mosquitto that runs on this directory."""
        try:
            pid = int((self.path / "data" / "mosquitto.pid").read_text())
            # A process id that was left behind may be another program's by now.
            running = os.path.samefile(f"/proc/{pid}/cwd", self.path)
        except (OSError, ValueError):
            return None
        return pid if running else None

    def reload(self) -> bool:
        """Have a running mosquitto read certificates and revocations again; False if none runs.

        It has read them when this returns.
        """
        pid = self.pid()
        if pid is None:
            return False
        commanded = self._is_commanded()
        with locked(self.path):  # a signal that comes while it reads for another is forgotten
            try:
                if not commanded:
                    acl_files.reload(pid)
                    return True
                os.kill(pid, signal.SIGHUP)
            except PermissionError as error:
                raise BrokerError(
                    f"{self.path}: mosquitto (process {pid}) is not ours to reload; run as root"
                ) from error
            except ProcessLookupError:
                return False
            with self._control() as control:
                # It may give one answer in the turn in which the signal came; then it reads.
                for _ in range(2):
                    control.send([{"command": "getDefaultACLAccess"}])
        return True


def owner(account: str, mode: int) -> Owner:
    """The account's files as root writes them; anyone else's are their own."""
    if os.geteuid() != 0:
        return Owner(-1, -1, mode)
    try:
        entry = pwd.getpwnam(account)
    except KeyError as error:
        raise BrokerError(
            f"there is no account {account} on this machine; apt-get install mosquitto, then"
            " titik broker init again"
        ) from error
    return Owner(entry.pw_uid, entry.pw_gid, mode)


def local(address: str) -> str:
    """How a program on this machine reaches a listener."""
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(address, address)


def write_settings(path: Path, settings: Settings) -> None:
    """broker.toml, from which `open` reads the same settings again."""
    plain = asdict(settings)
    tables = {"": plain, "\n[ports]\n": plain.pop("ports")}
    text = "# Written by `titik broker init`; run it again to change something.\n"
    for head, table in tables.items():
        # JSON's text, lists and numbers are TOML's too.
        known = {name: value for name, value in table.items() if value is not None}
        text += head + "".join(f"{name} = {json.dumps(known[name])}\n" for name in known)
    replace_file(path / "broker.toml", text, Owner(-1, -1, 0o644))
