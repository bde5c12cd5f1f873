"""The store beside Litestream, which copies each few seconds: docs/standby.md has the lines."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.project.sources import ROOT
from tests.until import until
from titik_collector.cli import titik

pytestmark = [pytest.mark.system, pytest.mark.long]

TOML = '[city]\nname = "bench"\ntitle = "Bench"\ntimezone = "Asia/Makassar"\n[store]\npath = "db"\n'
# Samples and their rollups are written as a collector does it, until it is killed.
LIVES = """
from pathlib import Path
from bench.city import City, T0
city, end = City(Path(FOLDER), 8, 4), T0
while True:
    end += 300_000
    city.live(end, 60_000)
"""


def configured(folder: Path) -> Path:
    """The file that the document has, for this city and a folder here."""
    text = (ROOT / "docs/standby.md").read_text()
    (found,) = re.findall(r"```yaml\n(dbs:.*?)```", text, re.S)
    found = found.replace("/var/lib/titik/store/titik.db", str(folder / "city/db"))
    (folder / "litestream.yml").write_text(found.replace("/mnt/other/titik", str(folder / "copy")))
    return folder / "litestream.yml"


def samples(file: Path) -> int:
    """How many are in a store."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM sample").fetchone()[0])


def test_what_was_copied_is_a_whole_store(tmp_path: Path) -> None:
    """Both are killed while samples are written, and the disk with the store is lost."""
    litestream = str(Path(sys.executable).with_name("litestream"))
    (tmp_path / "city").mkdir()
    (tmp_path / "city/titik.toml").write_text(TOML)
    file = configured(tmp_path)
    program = textwrap.dedent(LIVES).replace("FOLDER", repr(str(tmp_path / "city")))
    places = os.pathsep.join(str(ROOT / one) for one in ("agent", "broker", "."))
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": places}
        ) as writer,
    ):
        until(lambda: (tmp_path / "city/db").exists(), True)
        with subprocess.Popen(
            [litestream, "replicate", "-config", str(file)], stdout=log, stderr=log
        ) as copier:
            until(lambda: (tmp_path / "copy").exists(), True)
            until(lambda: samples(tmp_path / "city/db") > 1500, True)
            os.kill(writer.pid, signal.SIGKILL)
            written = samples(tmp_path / "city/db")
            until(lambda: copied(litestream, file, tmp_path) > 0, True)
            os.kill(copier.pid, signal.SIGKILL)
    shutil.rmtree(tmp_path / "city")
    assert 0 < copied(litestream, file, tmp_path) <= written
    (tmp_path / "back/titik.toml").write_text(TOML)
    done = CliRunner().invoke(titik, ["db", "check", "--config", str(tmp_path / "back/titik.toml")])
    assert "the store is whole" in done.output


def copied(litestream: str, file: Path, folder: Path) -> int:
    """What a restore brings back now."""
    shutil.rmtree(folder / "back", ignore_errors=True)
    (folder / "back").mkdir()
    store, back = folder / "city/db", folder / "back/db"
    done = subprocess.run(
        [litestream, "restore", "-config", str(file), "-o", str(back), str(store)],
        capture_output=True, check=False,
    )  # fmt: skip
    return samples(back) if done.returncode == 0 and back.exists() else 0
