"""The side of a twin: takes what the first broker has, and answers with what it goes by now.

Rule: a folder that has the authority's key takes nothing: it is the first broker itself.
Rule: revocations come first; who was cut off at the first broker is cut off here.
Rule: `ca/revoked` comes last, so who is still to be cut off is known after an interruption too.
Rule: a first broker that lacks a revocation or a certificate of here is older, as after a restore:
nothing of it is taken.
Rule: addresses, ports and account are a twin's own, once it has them.
"""

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from titik_collector.access import rights
from titik_collector.broker_setup import alike, broker_init
from titik_collector.broker_setup.alike import Holding
from titik_collector.broker_setup.broker_folder import (
    BrokerError,
    BrokerFolder,
    Settings,
    write_settings,
)
from titik_collector.broker_setup.parcel import ISSUED, REVOKED, SETTINGS, File
from titik_collector.config import model as configuration
from titik_collector.config.schema import ConfigError, read
from titik_collector.enrolment.authority import Issued, revoked_in
from titik_collector.files.locks import locked
from titik_collector.files.replace import OURS, replacing
from titik_collector.limits import MAX_SHOWN
from titik_collector.units import systemd_units

_AUTHORITY, _LIST = "tls/ca.crt", "tls/crl.pem"


class Answer(NamedTuple):
    """What a twin has."""

    runs: bool  # its mosquitto
    lines: frozenset[Holding]
    notes: tuple[str, ...] = ()  # for its operator
    lacks_units: bool = False  # and would write them with the next parcel
    city: str | None = None  # of `city_file`

    def text(self) -> str:
        """For the first broker."""
        return json.dumps({**self._asdict(), "lines": sorted(self.lines)})


def answer_of(text: str) -> Answer:
    """ValueError if it is none."""
    try:
        found = json.loads(text)
        lines = frozenset(Holding(str(what), str(how)) for what, how in found["lines"])
        notes = tuple(map(str, found["notes"]))
        lacks_units = bool(found.get("lacks_units"))  # an earlier version does not answer these
        return Answer(bool(found["runs"]), lines, notes, lacks_units, found.get("city"))
    except (KeyError, TypeError) as error:
        raise ValueError(f"no answer of a twin: {text[:MAX_SHOWN]!r}") from error


def take(path: Path, files: Sequence[File]) -> Answer:
    """Become as the first broker is; without files only the answer."""
    if (path / "ca" / "ca.key").exists():
        raise BrokerError(
            f"{path}: has the authority's own key, so changes are made here, and none are taken"
        )
    notes: list[str] = []
    if files:
        _check(files)
        _check_age(path, files)
        notes = _taken(path, files)
    elif not (path / SETTINGS).exists():
        raise BrokerError(
            f"nothing was sent to {path} yet; at the first broker: titik broker twin send DIR"
        )
    made = BrokerFolder.open(path)
    with locked(path):
        missing = systemd_units.missing(broker_init.for_units(made), configuration.installed_file())
        return Answer(
            made.pid() is not None,
            alike.account(made),
            tuple(notes or missing or ()),
            missing == [],
            city_file(),
        )


def city_file() -> str | None:
    """The hash of this machine's city, which is not sent; None where it has none."""
    file = configuration.installed_file()
    try:
        return None if file is None else hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:  # of another user's city
        return None


def _check(files: Sequence[File]) -> None:
    names = {one.name for one in files}
    missing = [one for one in (SETTINGS, REVOKED, _AUTHORITY, _LIST) if one not in names]
    if missing:
        raise BrokerError(f"what came lacks {', '.join(missing)}; send it again")


def _check_age(path: Path, files: Sequence[File]) -> None:
    """BrokerError where revocations would be undone; a new authority has none of ours."""
    sent = {one.name: one.content for one in files}
    authority = path / _AUTHORITY
    if not (path / SETTINGS).exists():
        return
    if authority.exists() and authority.read_bytes() != sent[_AUTHORITY]:
        return
    try:
        revoked = BrokerFolder.open(path).authority.revoked()
        revoked -= revoked_in(sent[REVOKED], sent[_LIST])
    except ValueError as error:
        raise BrokerError(f"nothing was taken: {error}") from error
    issued = [one for one in (path / ISSUED).glob("*.crt") if f"{ISSUED}/{one.name}" not in sent]
    if revoked or issued:
        raise BrokerError(
            f"nothing was taken: the first broker is older than this twin, and lacks {len(revoked)}"
            f" revocations and {len(issued)} certificates of it; bring {path}/{ISSUED} and"
            f" {path / REVOKED} from here to there, then: titik broker init DIR"
        )


def _taken(path: Path, files: Sequence[File]) -> list[str]:
    made = _made(path, next(one.content for one in files if one.name == SETTINGS))
    broker_init.make_folders(made)
    with locked(path):
        were_good = _let_in(made)
        users = set(made.users()) if broker_init.is_whole(made) else set()
        _replace(made, files)
        write_settings(path, made.settings)
        stands = made.pid() is None  # who sent the line that starts it may have been a timer
        city = configuration.installed_file()
        lines = systemd_units.write(broker_init.for_units(made), city, again=stands)
        lines += broker_init.write_config(made)
        made.reload()
        after = made.authority.readable()
        good = {one.router for one in after if not one.revoked}
        for router in sorted(_newly_revoked(were_good, after)):
            if router in good:
                made.interrupt(router)
            elif router in users:
                made.cut_off(router)
        _put(made, next(one for one in files if one.name == REVOKED))
        lines += broker_init.bring_together(made)
        gone = {rights.CONTROL, *made.settings.engineers, made.settings.collector}
        for file in (path / "secrets").glob("*.password"):
            if file.stem not in gone:
                file.unlink()
    return lines


def _made(path: Path, sent: bytes) -> BrokerFolder:
    try:
        settings = read(Settings, tomllib.loads(sent.decode()), path / SETTINGS)
    except (ValueError, ConfigError) as error:
        raise BrokerError(f"{path}: this version cannot read what came: {error}") from error
    settings = replace(settings, twins=None, is_twin=True, account=broker_init.account())
    if (path / SETTINGS).exists():
        own = BrokerFolder.open(path).settings
        settings = replace(
            settings,
            listen=own.listen,
            engineer_listen=own.engineer_listen,
            collector_listen=own.collector_listen or settings.collector_listen,
            ports=replace(own.ports, away=own.ports.away or settings.ports.away),
        )
    elif path.is_dir() and any(path.iterdir()):
        raise BrokerError(f"{path}: holds something else; give a directory of its own")
    return BrokerFolder(path, settings)


def _let_in(made: BrokerFolder) -> set[int]:
    """Serials; before the first time none."""
    if not (made.path / REVOKED).exists():
        return set()
    return {one.serial for one in made.authority.readable()} - made.authority.noted()


def _newly_revoked(were_good: set[int], after: Sequence[Issued]) -> set[str]:
    """Routers that have lost a certificate which the twin had let in."""
    return {one.router for one in after if one.revoked and one.serial in were_good}


def _replace(made: BrokerFolder, files: Sequence[File]) -> None:
    """The list of revocations first; a certificate that was not sent is gone."""
    for name, mode in (("ca", 0o700), (ISSUED, 0o700), ("tls", 0o755)):
        folder = made.path / name
        folder.mkdir(mode=mode, exist_ok=True)
        folder.chmod(mode)
    last = {SETTINGS, REVOKED} if (made.path / REVOKED).exists() else {SETTINGS}
    for one in sorted(files, key=lambda one: (one.name != _LIST, one.name)):
        if one.name not in last:
            _put(made, one)
    sent = {one.name for one in files}
    for file in (made.path / ISSUED).glob("*.crt"):
        if f"{ISSUED}/{file.name}" not in sent:
            file.unlink()


def _put(made: BrokerFolder, one: File) -> None:
    """Where it belongs, readable for who needs it."""
    owner = replace(made.owner(0o644), uid=-1) if one.name.startswith("tls/") else OURS
    owner = made.owner(0o600) if one.name == "tls/server.key" else owner
    file = made.path / one.name
    if file.exists() and file.read_bytes() == one.content:
        return
    with replacing(file, owner) as raw:
        raw.write(one.content)
