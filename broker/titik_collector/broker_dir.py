"""The directory of a private mosquitto: what is in it, who may read it, and its users.

    broker.toml       what `titik broker init` decided: addresses, ports, users
    mosquitto.conf    acl  passwords           mosquitto's own
    secrets/*.password                         each user's password, for its owner alone
    data/             mosquitto's database and process id

Rule: mosquitto runs inside the directory on relative paths, so only the directory itself, and
none of its parents, must be open to the account that mosquitto drops to.
Rule: what exists is kept; only `force` makes new passwords or empties the database.
"""

import os
import pwd
import signal
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from titik_collector import takeover
from titik_collector.folder_lock import locked
from titik_collector.mqtt import LinkDown
from titik_collector.passwords import (
    Owner,
    hash_password,
    make_secret,
    matches,
    read_hashes,
    read_secret,
    replace_file,
    write_hashes,
)
from titik_collector.pki import Authority, bring_back
from titik_collector.schema import ConfigError, Key, Slug, Slugs, Table, Text, Whole, read
from titik_collector.takeover import Door

READS_S = 0.1  # longer than mosquitto takes to read its files


class BrokerError(Exception):
    """The broker's directory or program is not as it must be; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """[ports]"""

    router: Annotated[int, Key(Whole(1, 65535), "the routers' listener")]
    engineer: Annotated[int, Key(Whole(1, 65535), "the engineers' listener")]
    collector: Annotated[int, Key(Whole(1, 65535), "the collector's listener")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """broker.toml"""

    account: Annotated[str, Key(Text(32), "the account that mosquitto runs as")]
    listen: Annotated[str, Key(Text(64), "the address of the routers' listener")]
    engineer_listen: Annotated[str, Key(Text(64), "the address of the engineers' listener")]
    collector: Annotated[str, Key(Slug(), "the collector's user")]
    collector_id: Annotated[str, Key(Slug(), "the collector's id")]
    engineers: Annotated[tuple[str, ...], Key(Slugs(1000), "the engineers' users")]
    ports: Annotated[Ports, Key(Table(Ports), "the listeners' ports")]
    host: Annotated[
        str | None, Key(Text(253), "the name in the broker's certificate", "no TLS")
    ] = None


class BrokerDir:
    """An initialised directory; make one with `broker_init.init`, find one with `open`."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self.path = path
        self.settings = settings

    @classmethod
    def open(cls, path: Path) -> "BrokerDir":
        """BrokerError if there is none."""
        file = path / "broker.toml"
        try:
            content = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise BrokerError(
                f"{path}: no broker there; make it: titik broker init {path};"
                " or let directory under [broker] of titik.toml name the one that there is"
            ) from error
        except PermissionError as error:
            raise BrokerError(f"{file}: may not be read; run as its owner or as root") from error
        try:
            return cls(path, read(Settings, tomllib.loads(content.decode()), file))
        except (ValueError, ConfigError) as error:
            remedy = bring_back(path, "broker.toml")
            raise BrokerError(f"{file}: damaged ({error}); {remedy}") from error

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

    @property
    def authority(self) -> Authority:
        """The city's own; BrokerError if the broker was made without `--host`."""
        if self.settings.host is None:
            raise BrokerError(
                f"{self.path}: is without TLS; titik broker init {self.path} --host NAME"
            )
        return Authority(self.path, self.owner(0o600))

    @property
    def config_file(self) -> Path:
        return self.path / "mosquitto.conf"

    @property
    def database(self) -> Path:
        return self.path / "data" / "mosquitto.db"

    def password_file(self, user: str) -> Path:
        """Where a user's password lies."""
        return self.path / "secrets" / f"{user}.password"

    def password(self, user: str) -> str:
        """A user's password; BrokerError if it has none or is not ours to read."""
        file = self.password_file(user)
        try:
            password = read_secret(file)
        except PermissionError as error:
            raise BrokerError(f"{file}: may not be read; run as its owner or as root") from error
        if password is not None:
            return password
        if not file.exists():
            raise BrokerError(f"{file}: no such user")
        raise BrokerError(f"{file}: is damaged; make another: titik broker init {self.path}")

    def users(self) -> list[str]:
        """Every user that has a password, by name."""
        return sorted(self._hashes())

    def routers(self) -> list[str]:
        """Every router that has a password; with TLS none may have one, see `broker_init`."""
        return [name for name in self.users() if name not in self.reserved()]

    def reserved(self) -> set[str]:
        """Names that no router can have."""
        return {self.settings.collector, *self.settings.engineers}

    def add_user(self, user: str) -> Path:
        """Make a password unless there is one, tell a running broker; the password's file."""
        self.add_users([user])
        return self.password_file(user)

    def add_users(self, users: list[str]) -> list[str]:
        """As `add_user`, for many at once; those that were new or whose hash was not right."""
        with locked(self.path):
            changed = self._add(users, self._hashes())
        if changed:
            self.reload()
        return changed

    def begin_users(self) -> list[str]:
        """The first of a new directory, as `add_users`: the collector and the engineers."""
        with locked(self.path):
            return self._add([self.settings.collector, *self.settings.engineers], {})

    def mend_passwords(self) -> list[str]:
        """Where mosquitto's file is lost, damaged or cut, make it again; what was done."""
        with locked(self.path):
            found = {one.name.removesuffix(".password") for one in self._secrets()}
            if self.settings.host is not None:
                # No router has a password; who is given its name later must not have its old one.
                for user in found - self.reserved():
                    self.password_file(user).unlink()
                found &= self.reserved()
            try:
                hashes, what = self._hashes(), "lines of passwords were"
            except BrokerError:
                hashes, what = {}, "passwords was"
                found |= self.reserved()  # whom an init that was cut short had not come to
                (self.path / "secrets").mkdir(mode=0o700, exist_ok=True)
            made = self._add(sorted(found - hashes.keys()), hashes)
        if made:
            self.reload()
        return [f"{what} lost: made again for {len(made)} users"] if made else []

    def remove_user(self, user: str) -> bool:
        """Forget a user; a running broker cuts its connection. False if there was none."""
        return bool(self.remove_users([user]))

    def remove_users(self, users: list[str]) -> list[str]:
        """As `remove_user`, for many at once; those that there were."""
        with locked(self.path):
            hashes = self._hashes()
            known = [user for user in users if hashes.pop(user, None) is not None]
            if known:
                write_hashes(self.path / "passwords", hashes, self.owner(0o600))
            for user in users:
                self.password_file(user).unlink(missing_ok=True)
        self.reload()
        return known

    def kick(self, router: str, returns: bool = False) -> bool:
        """End a router's session, which outlives its certificate; False if no broker runs.

        mosquitto cuts off who loses a password, never who is revoked. So somebody takes the
        session over: a user of the router's name, who exists for as long as that takes.
        `returns`: it has another certificate; otherwise its status is `offline` from now on.
        """
        if self.pid() is None:
            return False
        with locked(self.path):  # an init would end this password of a router's
            self.mend_passwords()  # no damage keeps the session of who is revoked
            self.add_user(router)
            try:
                session = Door("127.0.0.1", self.ports.collector, router, self.password(router))
                takeover.take(session, self.reload)
                if not returns:
                    takeover.say_offline(self._engineers_door(self.settings.collector), router)
            except LinkDown as error:
                raise BrokerError(str(error)) from error
            finally:
                self.remove_user(router)
        return True

    def _secrets(self) -> Iterator[Path]:
        return (self.path / "secrets").glob("*.password")

    def _add(self, users: list[str], hashes: dict[str, str]) -> list[str]:
        """Write the file if the hash of one of them is not there or not right; who that was."""
        changed = []
        for user in users:
            file = self.password_file(user)
            password = read_secret(file)
            if password is None:
                file.unlink(missing_ok=True)
                password = make_secret(file)
            if not matches(password, hashes.get(user, "")):
                hashes[user] = hash_password(password)
                changed.append(user)
        if changed:
            write_hashes(self.path / "passwords", hashes, self.owner(0o600))
        return changed

    def _hashes(self) -> dict[str, str]:
        """By user; BrokerError where the file is lost, for there is always a collector."""
        file = self.path / "passwords"
        remedy = (
            f"make it again from what is in {self.path / 'secrets'}: titik broker init {self.path}"
        )
        try:
            hashes = read_hashes(file)
        except FileNotFoundError as error:
            raise BrokerError(f"{file}: is missing; {remedy}") from error
        except ValueError as error:
            raise BrokerError(f"{file}: damaged ({error}); {remedy}") from error
        if not hashes:
            raise BrokerError(f"{file}: is empty; {remedy}")
        return hashes

    def _engineers_door(self, user: str) -> Door:
        """Where whoever has a password is let in beside the others of his name."""
        tls = None if self.settings.host is None else self.path / "tls" / "ca.crt"
        return Door(self.engineer_host, self.ports.engineer, user, self.password(user), tls)

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
        """Have a running mosquitto read passwords and ACL again; False if none runs.

        A SIGHUP that comes while it reads for an earlier one is forgotten (2.0.11: its main loop
        clears the flag afterwards), so it gets another when that is over.
        """
        pid = self.pid()
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGHUP)
            time.sleep(READS_S)
            os.kill(pid, signal.SIGHUP)
        except PermissionError as error:
            raise BrokerError(
                f"{self.path}: mosquitto (process {pid}) is not ours to reload; run as root"
            ) from error
        except ProcessLookupError:
            return False
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
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)


def write_settings(path: Path, settings: Settings) -> None:
    """broker.toml, from which `open` reads the same settings again."""
    engineers = ", ".join(f'"{name}"' for name in settings.engineers)
    host = "" if settings.host is None else f'host = "{settings.host}"\n'
    text = f"""\
# Written by `titik broker init`; run it again to change something.
account = "{settings.account}"
listen = "{settings.listen}"
engineer_listen = "{settings.engineer_listen}"
collector = "{settings.collector}"
collector_id = "{settings.collector_id}"
engineers = [{engineers}]
{host}
[ports]
router = {settings.ports.router}
engineer = {settings.ports.engineer}
collector = {settings.ports.collector}
"""
    replace_file(path / "broker.toml", text, Owner(-1, -1, 0o644))
