"""The guide to a new figure, executed: its edits are made in a copy, and an hour is rolled up."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import Postgres
from tests.project.sources import ROOT

GUIDE = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add a figure")[2].partition("\n## ")[0]
CODE = re.findall(r"^```(?:python|text|sql)\n(.+?)^```", GUIDE, re.M | re.S)
SCHEMA = "broker/titik_collector/store/schema"

# Of two routers one got a tenth of its packets broken.
HOUR = """
import sys
from dataclasses import replace
from pathlib import Path

from tests.collector import test_table
from tests.collector.test_rollup import city, hour_of
from titik_collector.queries import export
from titik_collector.rollups import rollup_message
from titik_collector.store.rollups import WindowKey
from titik_wire.codec import decode, encode
from tools.tables import refreshed

assert export.__file__.startswith(sys.argv[1]), export.__file__
with city(Path(sys.argv[1]) / "db") as here:
    for router, broken in (("tirosa-1", 10), ("tirosa-2", 0)):
        for one in hour_of(router):
            (net,) = one.net
            net = replace(net, rx_packets=one.seq * 100, rx_errors=one.seq * broken)
            here.save(replace(one, net=(net,)))
    here.roll()
    for key in ("router", 1, "1m"), ("site", 1, "1h"), ("city", 0, "1d"):
        newest = WindowKey(*key, max(here.windows(*key)))
        print(rollup_message.read(here.db, newest, "x").uplink_broken_ratio)
test_table.test_the_contract_has_the_fields_of_the_table()
test_table.test_the_store_has_the_columns_of_the_table(Path(sys.argv[1]) / "store")
print("uplink_broken_ratio" in export.NAMES)
print(refreshed("<!-- fields Rollup -->\\n<!-- end -->").count("uplink_broken_ratio"))
"""

# The columns that each engine has of the figure.
COLUMNS = """
import sys
from contextlib import closing
from pathlib import Path

from titik_collector.store import postgres_schema, sqlite
from titik_collector.store.postgres import PostgresPlace

assert sqlite.__file__.startswith(sys.argv[1]), sqlite.__file__
with closing(sqlite.open_writer(Path(sys.argv[1]) / "db")) as db:
    for table in "sample", "rollup":
        columns = db.execute("SELECT name FROM pragma_table_info(?)", (table,))
        print(*[f"{table}.{name}" for (name,) in columns if name in sys.argv[3:]])
place = PostgresPlace(sys.argv[2], "figure", None)
with closing(postgres_schema.open_writer(place)) as db:
    for table in "sample", "rollup":
        columns = db.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = ?"
            " ORDER BY ordinal_position", (table,)
        )
        print(*[f"{table}.{name}" for (name,) in columns if name in sys.argv[3:]])
"""


def node(file: Path, name: str) -> ast.ClassDef | ast.AnnAssign:
    """A class or a constant of a file."""
    for one in ast.parse(file.read_text()).body:
        if isinstance(one, ast.ClassDef) and one.name == name:
            return one
        if isinstance(one, ast.AnnAssign) and ast.unparse(one.target) == name:
            return one
    raise LookupError(name)


def insert(file: Path, name: str, code: str) -> None:
    """Put lines at the end of a class, or before the bracket that ends a constant."""
    found = node(file, name)
    assert found.end_lineno is not None
    lines = file.read_text().splitlines(keepends=True)
    at = found.end_lineno - (not isinstance(found, ast.ClassDef))
    file.write_text("".join([*lines[:at], code, *lines[at:]]))


def edited(copy: Path) -> None:
    """Make a copy of both halves, with the edits of the guide."""
    for half in ("agent", "broker"):
        shutil.copytree(ROOT / half, copy / half, ignore=shutil.ignore_patterns("__pycache__"))
    field, rows, pair, *migrations = CODE
    table = copy / "broker/titik_collector/figures/table.py"
    insert(copy / "agent/titik_wire/city_messages.py", "Rollup", field)
    insert(table, "Figures", rows)
    insert(table, "COUNTED", pair)
    newest = max(file.name for file in (copy / SCHEMA).glob("*.sql"))
    for folder, migration in zip(("", "postgres"), migrations, strict=True):
        file = copy / SCHEMA / folder / f"{int(newest[:4]) + 1:04}_broken.sql"
        file.write_text(migration)


def run(copy: Path, code: str, *arguments: str) -> tuple[list[str], str]:
    """The words that a program prints over the copy, and its errors."""
    path = os.pathsep.join(map(str, (copy / "agent", copy / "broker", ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", code, str(copy), *arguments],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.split(), done.stderr


@pytest.mark.thorough
def test_three_edits_add_a_figure(tmp_path: Path) -> None:
    """It is in messages of a router, a site and the city, in exports and in the documents."""
    edited(tmp_path)
    assert (["0.1", "0.05", "0.05", "True", "1"], "") == run(tmp_path, HOUR)


@pytest.mark.system
def test_a_figure_has_its_columns_on_both_engines(tmp_path: Path) -> None:
    """Each engine has a migration of its own."""
    edited(tmp_path)
    names = ["uplink_broken", "uplink_packets"]
    expected = [f"{table}.{name}" for table in ("sample", "rollup") for name in names]
    with Postgres() as server:
        assert ([*expected, *expected], "") == run(tmp_path, COLUMNS, server.url, *names)
