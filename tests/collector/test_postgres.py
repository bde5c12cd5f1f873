"""The database server that tests start for themselves.

Its library is imported where it is used: other versions of Python read this file without it.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import Postgres, newest
from tests.project.sources import ROOT
from tests.until import until

pytestmark = pytest.mark.system

CRASHING = """
import os, signal, sys
from tests.postgres import Postgres
if sys.argv[1] == "starts":
    Postgres._wait_until_ready = lambda self: None
with Postgres() as server:
    print(server.folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_each_test_has_a_schema_of_its_own(postgres: Postgres) -> None:
    """What one writes is neither seen by the next nor left behind."""
    import psycopg

    with postgres.schema() as one, postgres.schema() as other, psycopg.connect(postgres.url) as db:
        for name in (one, other):
            db.execute(f"CREATE TABLE {name}.router (name text)")
            db.execute(f"INSERT INTO {name}.router VALUES ('{name}')")
        assert [(one,)] == db.execute(f"SELECT name FROM {one}.router").fetchall()
        db.commit()
    left = "SELECT count(*) FROM pg_namespace WHERE nspname = ANY (%s)"
    with psycopg.connect(postgres.url) as db:
        assert (0,) == db.execute(left, ([one, other],)).fetchone()


def test_the_server_is_nobody_else_s(postgres: Postgres) -> None:
    """It listens on no port, and is neither root's nor a cluster of the machine."""
    import psycopg

    with psycopg.connect(postgres.url) as db:
        assert ("",) == db.execute("SHOW listen_addresses").fetchone()
        assert (str(postgres.folder / "data"),) == db.execute("SHOW data_directory").fetchone()
    pid = int((postgres.folder / "data" / "postmaster.pid").read_text().split()[0])
    assert 0 != os.stat(f"/proc/{pid}").st_uid


@pytest.mark.parametrize("when", ["starts", "runs"])
def test_the_server_ends_with_tests_that_are_killed(when: str) -> None:
    """Nothing of it is left, neither processes nor files; a signal may come before it is ready."""
    command = [sys.executable, "-c", CRASHING, when]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    assert -signal.SIGKILL == done.returncode
    folder = done.stdout.strip()
    assert until(lambda: not Path(folder).exists() and not serving(folder), True)


def serving(folder: str) -> list[str]:
    """Command lines of processes that name the folder."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended
            found.append(one.read_text(errors="replace"))
    return [one for one in found if folder in one]


def test_a_machine_without_the_package_fails(tmp_path: Path) -> None:
    """No test is skipped in silence: the error has the remedy."""
    with pytest.raises(AssertionError, match="apt install postgresql-15"):
        newest(tmp_path)
    older = tmp_path / "14" / "bin"
    older.mkdir(parents=True)
    (older / "postgres").touch()
    with pytest.raises(AssertionError, match="no PostgreSQL 15 or newer"):
        newest(tmp_path)
