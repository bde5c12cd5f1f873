"""Starts mosquitto in the foreground, in this process's place, with the open files it needs.

Rule: every reason not to start is found and printed before mosquitto starts.
Rule: a damaged database is moved aside, not mended: the routers still have what was in it.
"""

import os
import pwd
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from titik_collector.access import acl_files
from titik_collector.broker_setup import broker_conf
from titik_collector.broker_setup.broker_folder import BrokerError, BrokerFolder
from titik_collector.broker_setup.broker_init import (
    Request,
    bring_together,
    init,
    is_free,
    is_whole,
    listeners,
    to_free,
)
from titik_collector.files.replace import replace_file
from titik_collector.limits import MAX_DAMAGED, MAX_MEMORY, MAX_OPEN_FILES

TRIAL_S = 120.0  # for reading the largest database that the queue limits allow
TRIAL = "data/trial"  # in mosquitto's own folder, for all of this may run as its user
PLACES = "/usr/sbin:/usr/local/sbin"
# What mosquitto writes at every start, and of somebody who only looked whether the port is open.
HARMLESS = (
    "The 'clientid_prefixes' option is now deprecated",
    r"<unknown> closed its connection\.$",
)
SCREEN = 2  # stderr, where mosquitto logs
MISSING = "mosquitto is missing; apt-get install mosquitto"

_TRIAL = """\
user {account}
allow_anonymous false
persistence true
persistence_location {trial}/
listener 0 {trial}/socket
log_dest stderr
log_type all
"""


def run(directory: BrokerFolder, program: Path, say: Callable[[str], None]) -> None:
    """Become mosquitto, after `check`; returns only by BrokerError."""
    with _ending_tidily():
        set_damaged_aside(directory, program, say)
    if os.isatty(SCREEN) and shutil.which("grep"):  # a log keeps every line
        _leave_out_harmless()
    allow_open_files(MAX_OPEN_FILES)
    _limit_memory()
    os.chdir(directory.path)
    os.execv(program, [str(program), "-c", directory.config_file.name])


def prepare(directory: BrokerFolder) -> list[str]:
    """Bring what an earlier version or a power cut left to what mosquitto needs; what was done.

    mosquitto writes the file of its users in place, so that a power cut may leave half of it.
    """
    if not directory.config_file.exists():
        _, lines = init(directory.path, Request())
    else:
        lines = [] if is_whole(directory) else _mend(directory)
    acl_files.end(directory.path)
    return lines


def _mend(directory: BrokerFolder) -> list[str]:
    """Who may do what follows from secrets and keys, which mosquitto's account may not read."""
    if not os.access(directory.path / "secrets", os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        raise BrokerError(
            f"{directory.access_file}: lost or damaged; make it again as root: titik broker init"
            f" {directory.path}"
        )
    return bring_together(directory)


def find_mosquitto() -> Path:
    """The program; Debian keeps it where a user's PATH may not look."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:{PLACES}")
    if found is None:
        raise BrokerError(MISSING)
    return Path(found)


def check(directory: BrokerFolder) -> None:
    """BrokerError if mosquitto could not run there."""
    path, settings = directory.path, directory.settings
    pid = directory.pid()
    if pid is not None:
        raise BrokerError(f"{path}: mosquitto runs on it already, process {pid}")
    if os.geteuid() != 0 and pwd.getpwuid(os.geteuid()).pw_name != settings.account:
        raise BrokerError(f"{path}: is {settings.account}'s; run as root")
    if not (plugin := broker_conf.plugin()).exists():
        raise BrokerError(f"{plugin}: is missing; apt-get install mosquitto")
    for option, (address, port) in listeners(settings).items():
        if not is_free(address, port):
            raise BrokerError(
                f"port {port} of {address} is not free; {to_free(port)}, or choose another:"
                f" titik broker init {path} {option} N"
            )


def set_damaged_aside(directory: BrokerFolder, program: Path, say: Callable[[str], None]) -> None:
    """Let a mosquitto without a network read the database; move it away if it cannot."""
    database = directory.database
    if not database.exists():
        return
    complaint = _try(directory, program, database)
    if complaint is None:
        return
    elsewhere = _try(directory, program, None)
    if elsewhere is not None:
        raise BrokerError(f"{directory.path}: mosquitto does not start: {elsewhere}")
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = database.with_name(f"{database.name}.damaged-{stamp}")
    database.rename(aside)
    for old in sorted(database.parent.glob(f"{database.name}.damaged-*"))[:-MAX_DAMAGED]:
        old.unlink()
    say(
        f"broker database damaged, moved to {aside}: starting empty; routers send again what the"
        f" collector has not committed ({complaint})"
    )


def _try(directory: BrokerFolder, program: Path, database: Path | None) -> str | None:
    """Start mosquitto on the database with no listener but a socket; what it complains of."""
    trial = directory.path / TRIAL
    its = directory.owner(0o600)
    shutil.rmtree(trial, ignore_errors=True)
    try:
        trial.mkdir(mode=0o700)
        os.chown(trial, its.uid, its.gid)
        text = _TRIAL.format(account=directory.settings.account, trial=TRIAL)
        replace_file(trial / "trial.conf", text, its)
        if database is not None:
            _link(database, trial / database.name)
        return _first_complaint(directory.path, program)
    finally:
        shutil.rmtree(trial, ignore_errors=True)


def _link(database: Path, there: Path) -> None:
    try:
        os.link(database, there, follow_symlinks=False)
    except OSError:  # a file system without links
        shutil.copy2(database, there, follow_symlinks=False)


def _first_complaint(path: Path, program: Path) -> str | None:
    """None once it runs, or takes too long to answer; it is killed, so that it saves nothing."""
    command = [str(program), "-c", f"{TRIAL}/trial.conf"]
    with subprocess.Popen(command, cwd=path, stderr=subprocess.PIPE) as process:
        patience = threading.Timer(TRIAL_S, process.kill)
        try:
            patience.start()
            return _complaint(process)
        finally:
            process.kill()
            patience.cancel()


def _complaint(process: subprocess.Popen[bytes]) -> str | None:
    assert process.stderr is not None
    first = ""
    for line in process.stderr:
        text = line.decode(errors="replace").strip()
        if text.endswith(" running"):
            return None
        if not first and "Error: " in text:
            first = text.partition("Error: ")[2]
    if process.wait() == -signal.SIGKILL:
        return None
    return first or f"it ends with status {process.returncode}"


@contextmanager
def _ending_tidily() -> Iterator[None]:
    """A service manager's SIGTERM takes the mosquitto that is tried with it."""

    def end(_number: int, _frame: object) -> None:
        raise SystemExit(0)  # as mosquitto itself ends; another status is a failed unit

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave_out_harmless() -> None:
    """What goes to the screen passes grep, in a session of its own: Ctrl-C is mosquitto's."""
    command = ["grep", "--line-buffered", "-aEv", "|".join(HARMLESS)]
    grep = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=SCREEN, start_new_session=True)
    assert grep.stdin is not None
    os.dup2(grep.stdin.fileno(), SCREEN)


def allow_open_files(wanted: int) -> None:
    """As many descriptors in this process, if the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _limit_memory() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = MAX_MEMORY if hard == resource.RLIM_INFINITY else min(MAX_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
