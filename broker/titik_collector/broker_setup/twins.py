"""The side of the first broker: every change of the city reaches its other brokers, its twins.

    ssh://[USER@]HOST[:PORT]/PATH   a broker's folder on another machine
    /PATH                           one on this machine

Rule: a twin gets all of it each time, so whatever it missed is mended by the next change.
Rule: it answers with what its mosquitto goes by. What is not alike is a failure that names it.
Rule: a change fails too where a twin's mosquitto stands still: that has it in its files, but nobody
has seen it go by them. What is only sent does not: a twin is sent all before its first start.
Rule: a twin is noted as behind before it is sent anything, and until it has answered rightly.
Rule: titik.toml is not sent. Where a twin's is not the same, that is printed; only a look fails.
"""

import shlex
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from titik_collector.broker_setup import alike, behind, parcel
from titik_collector.broker_setup.alike import Holding
from titik_collector.broker_setup.behind import LaggingTwin
from titik_collector.broker_setup.broker_folder import (
    BrokerError,
    BrokerFolder,
    write_settings,
)
from titik_collector.broker_setup.twin_take import Answer, answer_of, city_file
from titik_collector.config.model import DEFAULT_FILE, ETC
from titik_collector.files.locks import locked
from titik_collector.limits import MAX_DETAIL, MAX_TWIN, MAX_TWINS

CONNECT_S = 10  # to another machine
ALIVE_S = 5  # ssh asks a silent one so often, and gives up after the third time
PATIENCE_S = 300.0  # 20,000 routers are new there
KEY, KNOWN = "twin.key", "twin.known"  # in secrets
PROGRAM = "titik"  # on the other machine
STOPPED = "mosquitto does not run there; start it there first"
OTHER_CITY = f"{ETC / DEFAULT_FILE} is not the same there; change it here alone, and copy it there"


class TwinError(BrokerError):
    """Something was done at the first broker, and a twin lacks it."""


def add(made: BrokerFolder, twin: str) -> bool:
    """Name one more; False if it was there. BrokerError if it cannot be one."""
    made.check_first()
    if made.settings.host is None:
        raise BrokerError(f"{made.path}: is without TLS; titik broker init {made.path} --host NAME")
    where = _where(twin)
    if where.host is None and Path(where.path).resolve() == made.path.resolve():
        raise BrokerError(f"{twin}: is this broker itself; name the other one's folder")
    known = made.settings.twins or ()
    if twin in known:
        return False
    if len(known) >= MAX_TWINS:
        raise BrokerError(f"there are {MAX_TWINS} already: {', '.join(known)}")
    _name(made, (*known, twin))
    return True


def remove(made: BrokerFolder, twin: str) -> None:
    """Keep it alike no longer; its folder stays as it is."""
    known = made.settings.twins or ()
    if twin not in known:
        raise BrokerError(f"{twin}: is no twin; there are {', '.join(known) or 'none'}")
    _name(made, tuple(one for one in known if one != twin))
    _write(made, tuple(one for one in behind.read(made.path) if one.twin != twin))


def follow(made: BrokerFolder, is_changed: bool = True) -> list[str]:
    """Bring every twin to what this broker has; what they report. TwinError names who is not.

    Nothing was changed: only what is not alike, or was not last time, is sent anything.
    """
    with locked(made.path):
        made = BrokerFolder.open(made.path)
        twins = () if made.is_twin else made.settings.twins or ()
        if not twins:
            return []
        own, lagging = alike.account(made), {one.twin for one in behind.read(made.path)}
        notes, failed = list[str](), set[str]()
        if not is_changed:
            good = {one: _whole(made, one, own) for one in twins if one not in lagging}
            notes = [line for one, has in good.items() if has for line in _notes(one, has)]
            twins = tuple(one for one in twins if good.get(one) is None)
        left = _noted(made, twins)
        sent = parcel.of(made) if twins else b""
        for twin in twins:
            why = None
            try:
                answer = _ask(made, twin, sent)
                notes += _notes(twin, answer)
                if not answer.runs:
                    why = STOPPED
                    if is_changed:
                        failed.add(twin)
                    else:
                        notes.append(f"warning: {twin}: {why}")
                if (lacks := alike.difference(own, answer.lines)) is not None:
                    why = lacks
                    failed.add(twin)
            except BrokerError as error:
                why = error.text
                failed.add(twin)
            left = _settle(left, twin, why)
            _write(made, left)
    if failed:
        raise TwinError(_words(made, [one for one in left if one.twin in failed]))
    return notes


def _whole(made: BrokerFolder, twin: str, own: Collection[Holding]) -> Answer | None:
    """What a twin answers that needs nothing; None: it is to be sent all."""
    try:
        answer = _ask(made, twin, parcel.packed(()))
    except BrokerError:
        return None
    is_alike = answer.runs and alike.difference(own, answer.lines) is None
    return answer if is_alike and not answer.lacks_units else None


def _notes(twin: str, answer: Answer) -> list[str]:
    """For the operator."""
    warning = [f"warning: {twin}: {OTHER_CITY}"] if _is_other_city(answer) else []
    return [f"{twin}: {line}" for line in answer.notes] + warning


def _is_other_city(answer: Answer) -> bool:
    """Where both machines have a city's file."""
    return None not in (own := city_file(), answer.city) and own != answer.city


def look(made: BrokerFolder) -> list[str]:
    """What is not alike, a line each, without changing anything."""
    own = alike.account(made)
    lines = []
    for twin in made.settings.twins or ():
        try:
            answer = _ask(made, twin, parcel.packed(()))
        except BrokerError as error:
            lines.append(f"{twin}: {error.text}")
            continue
        why = alike.difference(own, answer.lines)
        if why is not None:
            lines.append(f"{twin}: {why}; titik broker twin send {made.path}")
        elif not answer.runs:
            lines.append(f"{twin}: {STOPPED}")
        if _is_other_city(answer):
            lines.append(f"{twin}: {OTHER_CITY}")
    return lines


def authorized(made: BrokerFolder, twin: str) -> str:
    """The line for the other machine's `authorized_keys`; a key is made if there is none."""
    key = made.path / "secrets" / KEY
    if not key.exists():
        _run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "titik", "-f", str(key)], b"", 60
        )
    public = key.with_name(f"{KEY}.pub").read_text(encoding="utf-8").strip()
    return f'command="{_taking(_where(twin).path)}",restrict {public}'


def is_remote(twin: str) -> bool:
    """Whether it is on another machine."""
    return _where(twin).host is not None


class _Where(NamedTuple):
    host: str | None  # None: this machine
    path: str
    user: str | None = None
    port: int | None = None


def _where(twin: str) -> _Where:
    wrong = BrokerError(
        f"{twin}: is no twin; name a broker's folder: ssh://root@HOST/var/lib/titik/broker, or a"
        " path from / on for one on this machine"
    )
    if len(twin) > MAX_TWIN or not twin.isprintable():
        raise wrong
    if twin.startswith("/"):
        return _Where(None, twin)
    try:
        url = urlsplit(twin)
        port = url.port
    except ValueError as error:
        raise wrong from error
    if url.scheme != "ssh" or not url.hostname or len(url.path) < 2 or url.hostname[0] == "-":
        raise wrong
    return _Where(url.hostname, url.path, url.username, port)


def _taking(path: str) -> str:
    return f"{PROGRAM} broker twin take {shlex.quote(path)}"


def _command(made: BrokerFolder, twin: str) -> list[str]:
    where = _where(twin)
    if where.host is None:
        return [sys.executable, "-m", "titik_collector", "broker", "twin", "take", where.path]
    secrets = made.path.resolve() / "secrets"
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": CONNECT_S,
        "ServerAliveInterval": ALIVE_S,
        "StrictHostKeyChecking": "accept-new",
        "UserKnownHostsFile": secrets / KNOWN,
        "IdentitiesOnly": "yes",
    }
    command = ["ssh", "-F", "none", "-i", str(secrets / KEY)]
    for name, value in options.items():
        command += ["-o", f"{name}={value}"]
    command += [] if where.user is None else ["-l", where.user]
    command += [] if where.port is None else ["-p", str(where.port)]
    return [*command, "--", where.host, _taking(where.path)]


def _ask(made: BrokerFolder, twin: str, sent: bytes) -> Answer:
    try:
        text = _run(_command(made, twin), sent, PATIENCE_S)
    except BrokerError as error:
        raise BrokerError(error.text + _remedy(made, twin, error.text)) from error
    try:
        return answer_of(text)
    except ValueError as error:
        raise BrokerError(f"answers with something else ({error}); is Titik there?") from error


def _remedy(made: BrokerFolder, twin: str, reason: str) -> str:
    """For the two words of ssh after which nothing gets well by itself."""
    where = _where(twin)
    if where.host is None:
        return ""
    if "Host key verification failed" in reason:
        known = made.path.resolve() / "secrets" / KNOWN
        host = where.host if where.port is None else f"[{where.host}]:{where.port}"
        words = f"ssh-keygen -R {shlex.quote(host)} -f {shlex.quote(str(known))}"
        return f" If that machine was set up again: {words}"
    if "Permission denied" in reason:
        words = f"titik broker twin add {shlex.quote(str(made.path))} {shlex.quote(twin)}"
        return f" For its authorized_keys: {words}"
    return ""


def _run(command: Sequence[str], sent: bytes, patience_s: float) -> str:
    """What it prints; BrokerError if it fails."""
    try:
        done = subprocess.run(
            command, input=sent, capture_output=True, timeout=patience_s, check=False
        )
    except FileNotFoundError as error:
        raise BrokerError(f"{command[0]} is missing; apt-get install openssh-client") from error
    except subprocess.TimeoutExpired as error:
        raise BrokerError(f"no answer within {patience_s:.0f} s") from error
    if done.returncode:
        printed = done.stderr.decode(errors="replace").strip().splitlines()
        reason = (
            printed[-1].removeprefix("Error: ") if printed else f"exit status {done.returncode}"
        )
        raise BrokerError(reason[:MAX_DETAIL])
    return done.stdout.decode(errors="replace")


def _noted(made: BrokerFolder, twins: Sequence[str]) -> tuple[LaggingTwin, ...]:
    """All of them, each since its first failure."""
    known = {one.twin: one for one in behind.read(made.path)}
    now_ms = time.time_ns() // 1_000_000
    new = "was not sent the newest change"
    left = tuple(known.get(twin, LaggingTwin(twin, now_ms, new)) for twin in twins)
    _write(made, left)
    return left


def _settle(left: Sequence[LaggingTwin], twin: str, why: str | None) -> tuple[LaggingTwin, ...]:
    others = tuple(one for one in left if one.twin != twin)
    if why is None:
        return others
    (was,) = (one for one in left if one.twin == twin)
    return (*others, was._replace(why=why[: 5 * MAX_DETAIL]))  # a remedy has paths


def _words(made: BrokerFolder, left: Sequence[LaggingTwin]) -> str:
    lacks = "; ".join(f"{one.twin}: {one.why}" for one in left)
    return (
        f"done at {made.path}, and not at every broker of the city: {lacks}; who comes there meets"
        f" it as it was, until: titik broker twin send {made.path}"
    )


def _name(made: BrokerFolder, twins: tuple[str, ...]) -> None:
    with locked(made.path):
        settings = BrokerFolder.open(made.path).settings
        write_settings(made.path, replace(settings, twins=twins or None))


def _write(made: BrokerFolder, left: Sequence[LaggingTwin]) -> None:
    behind.write(made.path, left, made.owner(0).gid)
