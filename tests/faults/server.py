"""A PostgreSQL server that faults may strike: killed, stopped, cut off, its disk filled.

Rule: it runs in the scenario's own namespaces, so its port and its nft rules are nobody else's. The
collector comes by that port; who looks at the books comes by the socket, which no fault cuts.
Rule: what it commits survives its processes, but not this machine: nothing is synced to disk.
"""

import os
import pwd
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import psycopg

from tests.faults.engines import LOCK_S, SmallDisk, small_disk
from tests.postgres import USER, newest
from tests.system.city import City, OnServer
from titik_collector.config.store_table import Store

PORT = 5432
ADDRESS = f"127.0.0.1:{PORT}"
DISK = "160m"
PATIENCE_S = 60.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "port": str(PORT),
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "50",
    "max_wal_size": "8MB",
    "min_wal_size": "2MB",
}
TABLE = """
table inet db {
  chain out { type filter hook output priority 0; }
}
"""
# What the collector sends to the server, and what comes back.
THERE, BACK = f"oif lo tcp dport {PORT}", f"oif lo tcp sport {PORT}"
RULES = {
    "cut": (f"{THERE} drop", f"{BACK} drop"),
    "half-open": (f"{BACK} drop",),
    "deaf-server": (f"{THERE} drop",),
    "reset": (f"{THERE} reject with tcp reset", f"{BACK} reject with tcp reset"),
}
COLLECTORS = "application_name LIKE 'titik collector%' AND client_port > 0"


class Server:
    """Use as a context manager, in namespaces of its own."""

    name = "postgresql"
    kinds = ("kill store", "pause store", *(f"{how} store" for how in RULES))

    def __init__(self) -> None:
        self._bin = newest()
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path()

    def __enter__(self) -> "Server":
        # Short: the path of a socket has 107 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="tf-pg-", dir="/tmp"))
        self._disk = small_disk(self.folder, DISK)
        self._disk.__enter__()
        user = pwd.getpwnam(USER)
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        words = ("initdb", "--pgdata=data", "--username=titik", "--auth=trust", "--locale=C")
        other = ("--encoding=UTF8", "--no-sync", "--no-instructions", "--wal-segsize=1")
        subprocess.run(
            self._as_user(*words, *other), cwd=self.folder, check=True, capture_output=True
        )
        self._nft(TABLE)
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._nft("delete table inet db")
        if self.is_running:
            self.resume()
            self.stop(signal.SIGQUIT)
        self._disk.__exit__(None, None, None)
        self.folder.rmdir()

    # Stores

    @property
    def url(self) -> str:
        """By the socket."""
        return f"postgresql:///postgres?host={self.folder}&port={PORT}&user=titik"

    def new_store(self) -> OnServer:
        """A schema that is not there yet."""
        schema = f"t{next(self._numbers)}"
        url = f"postgresql://titik@{ADDRESS}/postgres"
        where = Store(url=self.url, schema=schema)
        return OnServer(where, f'url = "{url}"\nschema = "{schema}"')

    def drop(self, store: OnServer | None, /) -> None:
        """The schema, which its disk has no room for any more."""
        assert store is not None
        with closing(self._admin()) as admin:
            admin.execute(f"DROP SCHEMA {store.where.schema} CASCADE".encode())

    def lock(self, city: City, wait_s: float = LOCK_S) -> Callable[[], None] | None:
        """By a session that holds two tables; who reads goes on."""
        other = self._admin(options=f"-c lock_timeout={round(wait_s * 1000)}")
        other.autocommit = False
        names = [f"{city.where.schema}.{table}" for table in ("lease", "sample")]
        try:
            other.execute(f"LOCK TABLE {', '.join(names)} IN EXCLUSIVE MODE".encode())
        except psycopg.errors.LockNotAvailable:
            other.close()
            return None
        return other.close

    def copy(self, city: City, into: Path) -> None:
        """By pg_dump."""
        words = (str(self._bin / "pg_dump"), "--schema", city.where.schema, "--file", str(into))
        subprocess.run((*words, self.url), check=True)

    def bring_back(self, city: City, copy: Path | None) -> None:
        """The schema, whole, by psql."""
        with closing(self._admin()) as admin:
            admin.execute(f"DROP SCHEMA {city.where.schema} CASCADE".encode())
        if copy is not None:
            words = (str(self._bin / "psql"), "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1")
            subprocess.run(
                (*words, "--output=/dev/null", "--file", str(copy), self.url), check=True
            )

    def strike(self, kind: str) -> Callable[[], None]:
        """Of itself, or of the way to it."""
        how = kind.split()[0]
        if how == "kill":
            self.kill()
            return self.revive
        if how == "pause":
            self.pause()
            return self.resume
        self.break_way(how)
        return self.mend_way

    @contextmanager
    def on_small_disk(self, _: Path, /) -> Iterator[SmallDisk]:
        """The server's own: its disk is always small."""
        yield SmallDisk(self.folder, None, self.new_store())

    # Its life

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """All that it wrote."""
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Returns when it takes connections."""
        words = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._as_user("postgres", "-D", "data", "-k", str(self.folder), *words),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            assert self.is_running, self.log[-3000:]
            assert time.monotonic() < deadline, self.log[-3000:]
            time.sleep(0.05)

    def stop(self, how: signal.Signals) -> None:
        """SIGINT ends sessions and closes files; SIGQUIT leaves them as they are."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        """SIGKILL of all its processes; the first makes no new ones meanwhile."""
        self._signal(signal.SIGSTOP)
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(PATIENCE_S)

    def pause(self) -> None:
        """SIGSTOP of all its processes."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """They go on."""
        self._signal(signal.SIGCONT)

    def revive(self) -> None:
        """As a service manager does: a server that has ended runs again."""
        if not self.is_running:
            self.start()

    # Its sessions

    def kill_session(self) -> None:
        """SIGKILL of the process that serves the collector; the server then ends all sessions."""
        for pid in self.sessions():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def end_sessions(self) -> None:
        """The collector's connection is ended by the server; returns when it is gone."""
        deadline = time.monotonic() + PATIENCE_S
        while self.sessions("pg_terminate_backend(pid)"):
            assert time.monotonic() < deadline, "the session ends"
            time.sleep(0.05)

    def sessions(self, what: str = "pid") -> list[Any]:
        """Of each session of a collector."""
        with self._admin() as db:
            rows = db.execute(f"SELECT {what} FROM pg_stat_activity WHERE {COLLECTORS}".encode())
            return [one for (one,) in rows]

    @contextmanager
    def holding_commits(self) -> Iterator[None]:
        """Each that it makes until the end waits, made, for a second server that there is not."""
        self._be_followed_by("nobody")
        try:
            yield
        finally:
            self._be_followed_by("")

    @property
    def holds_commit(self) -> bool:
        """Whether a collector's COMMIT waits for that."""
        return "SyncRep" in self.sessions("wait_event")

    # The way to it

    def break_way(self, how: str) -> None:
        """Until `mend_way`; `how` is one of RULES."""
        self._nft("".join(f"add rule inet db out {rule}\n" for rule in RULES[how]))

    def mend_way(self) -> None:
        """Everything passes again."""
        self._nft("flush table inet db")

    def _be_followed_by(self, names: str) -> None:
        with self._admin() as db:
            db.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'".encode())
            db.execute("SELECT pg_reload_conf()")

    def _admin(self, options: str = "") -> "psycopg.Connection[Any]":
        return psycopg.connect(
            self.url, autocommit=True, application_name="faults", options=options
        )

    def _answers(self) -> bool:
        try:
            self._admin().close()
        except psycopg.OperationalError:
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with suppress(psutil.NoSuchProcess):
            server = psutil.Process(self._process.pid)
            for one in (server, *server.children()):
                with suppress(psutil.NoSuchProcess):
                    one.send_signal(number)

    def _as_user(self, program: str, *words: str) -> tuple[str, ...]:
        """As the package's user; it ends with this process."""
        user = ("--reuid", USER, "--regid", USER, "--clear-groups", "--pdeathsig", "INT")
        return ("setpriv", *user, str(self._bin / program), *words)

    def _nft(self, commands: str) -> None:
        subprocess.run(("nft", "-f", "-"), input=commands, text=True, check=True)
