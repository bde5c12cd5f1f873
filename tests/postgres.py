"""A private PostgreSQL for tests: on a Unix socket alone, in a folder of its own, as no root.

Rule: no cluster of this machine is touched, and no port is opened. Root's tests run it as the
package's user, anybody else's as themselves.
Rule: a shell outlives whoever started it, ends the server and removes the folder: it waits for the
end of its own input, which comes however its parent ends.
Rule: nothing is synced to disk, but where the time that it takes is measured: what is lost in a
power cut is lost with its tests.
"""

import os
import pwd
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

PROGRAMS = Path("/usr/lib/postgresql")  # Debian has a folder for each version
OLDEST = 15
REMEDY = "apt install postgresql-15"
USER = "postgres"  # comes with the package
START_S = 60.0
_SCHEMAS = count(1)

_RUN = """
cd "$FOLDER" && if [ -n "$PRIMARY" ]; then
    "$BIN/pg_basebackup" --pgdata=data --host="$PRIMARY" --username=titik --no-sync \\
        --checkpoint=fast --write-recovery-conf >log 2>&1
else
    "$BIN/initdb" --pgdata=data --username=titik --auth=trust --encoding=UTF8 \\
        --locale=C --no-sync --no-instructions >log 2>&1
fi || echo failed >>log
"$BIN/postgres" -D data -k "$FOLDER" -c listen_addresses= -c unix_socket_permissions=0700 \\
    $HASTE -c shared_buffers=32MB -c max_connections=50 >>log 2>&1 &
cat
# A signal that comes before the server waits for one is lost.
while kill -QUIT $!; do sleep 0.1; done 2>/dev/null
exec rm -rf "$FOLDER"
"""
_HASTE = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off"


def _text(file: Path) -> str:
    """Its text; empty where there is none: initdb makes a state file of its own and removes it."""
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


class Postgres:
    """A server that runs while the block goes on; `url` is that of its one database.

    `primary`: it has what that one writes, and only reads until `promote`.
    """

    def __init__(
        self, programs: Path = PROGRAMS, durable: bool = False, primary: "Postgres | None" = None
    ) -> None:
        self._programs = programs
        self._primary = primary
        self._haste = "" if durable else _HASTE
        self._keeper: subprocess.Popen[bytes] | None = None
        self.folder: Path = Path()

    @property
    def url(self) -> str:
        """As libpq reads it."""
        return f"postgresql:///postgres?host={self.folder}&user=titik"

    def __enter__(self) -> "Postgres":
        bin_ = newest(self._programs)
        # Not pytest's: the path of a socket has 107 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="titik-pg-", dir="/tmp"))
        other: dict[str, Any] = {}
        if os.getuid() == 0:
            user = pwd.getpwnam(USER)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            other = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", _RUN],
            env={
                "PATH": os.environ["PATH"],
                "FOLDER": str(self.folder),
                "BIN": str(bin_),
                "HASTE": self._haste,
                "PRIMARY": "" if self._primary is None else str(self._primary.folder),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # what ends the tests' terminal is not meant for it
            **other,
        )
        self._wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._keeper is not None
        self._keeper.communicate()
        self._keeper = None

    @contextmanager
    def schema(self) -> Iterator[str]:
        """The name of a new, empty schema, dropped at the end."""
        import psycopg  # not in every environment that imports this module

        name = f"t{next(_SCHEMAS)}"
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute(f"CREATE SCHEMA {name}")
            try:
                yield name
            finally:
                db.execute(f"DROP SCHEMA {name} CASCADE")

    def kill(self) -> None:
        """SIGKILL of the first of its processes; the others end with it."""
        os.kill(int(_text(self.folder / "data" / "postmaster.pid").split()[0]), signal.SIGKILL)

    def promote(self) -> None:
        """It takes writes from now on, though its primary is gone."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as db:
            assert (True,) == db.execute("SELECT pg_promote()").fetchone()

    def drop(self, schema: str) -> None:
        """Remove a schema, if there is one."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE'.encode())

    def _wait_until_ready(self) -> None:
        """It writes so in its last line; a program that asks would take longer."""
        state, log = self.folder / "data" / "postmaster.pid", self.folder / "log"
        deadline = time.monotonic() + START_S
        while not _text(state).rstrip().endswith(("ready", "standby")):
            text = log.read_text() if log.exists() else ""
            if time.monotonic() > deadline or "FATAL" in text or "failed\n" in text:
                self.__exit__()
                raise AssertionError(f"PostgreSQL did not start: {text}")
            time.sleep(0.02)


def newest(programs: Path = PROGRAMS) -> Path:
    """Where the newest version's programs are; AssertionError with the remedy if there are none."""
    versions = [int(one.parent.parent.name) for one in programs.glob("[1-9]*/bin/postgres")]
    if max(versions, default=0) < OLDEST:
        raise AssertionError(f"no PostgreSQL {OLDEST} or newer in {programs}: {REMEDY}")
    return programs / str(max(versions)) / "bin"
