"""`[[settings]]`, `titik router set` and `titik router tag`: the file, and what routers get."""

import dataclasses
import time
from pathlib import Path
from typing import Literal

import pytest
from click.testing import CliRunner, Result

from tests.collector.build import RUN, T0, opened
from titik_collector.commands import router_set
from titik_collector.commands.router import router
from titik_collector.config import edit, model
from titik_collector.config.model import ConfigError
from titik_collector.config.settings_tables import effective
from titik_collector.store import presence_rows, wishes
from titik_collector.store.presence_rows import PresenceRow
from titik_wire.fleet_messages import Outcome, RouterSettings, Running

TEXT = """\
# Our city.
[city]
name = "kupang"
title = "Kota Kupang"
timezone = "Asia/Makassar"

[store]
path = "titik.db"

[[site]]
name = "taman"
title = "Taman"

[[site]]
name = "pasar"
title = "Pasar"

[[router]]
name = "taman-1"
site = "taman"
tags = ["roof", "lte"]

# Behind the stage.
[[router]]
name = "taman-2"
site = "taman"

[[router]]
name = "pasar-1"
site = "pasar"
tags = ["lte"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A city of two sites and three routers, without settings."""
    path = tmp_path / "titik.toml"
    path.write_text(TEXT)
    return path


def run(file: Path, *words: str) -> Result:
    """`titik router ...`, whatever becomes of it."""
    return CliRunner().invoke(router, [*words, "--config", str(file)])


def intervals(file: Path) -> dict[str, tuple[int | None, bool | None]]:
    """What each router gets of two keys."""
    city = model.load(file)
    found = effective(city.router, city.settings)
    return {one.router: (one.interval_s, one.compress) for one in found}


def settings(text: str, file: Path) -> str:
    """What is wrong with these tables."""
    with pytest.raises(ConfigError) as caught:
        model.parse((TEXT + text).encode(), file)
    return str(caught.value).removeprefix(f"{file}: ")


def test_the_narrower_table_wins_key_by_key(file: Path) -> None:
    """All, then tags in the order of the file, then the site, then the router."""
    file.write_text(
        TEXT
        + """
[[settings]]
router = "taman-1"
interval_s = 10

[[settings]]
tag = "lte"
interval_s = 120
compress = true

[[settings]]
tag = "roof"
compress = false

[[settings]]
all = true
interval_s = 60
compress = false

[[settings]]
site = "pasar"
compress = false
"""
    )
    assert {
        "taman-1": (10, False),
        "taman-2": (60, False),
        "pasar-1": (120, False),
    } == intervals(file)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", "settings[0]: is for nobody; give one of router"),
        ('site = "taman"\ntag = "x"', "settings[0]: has tag and site; give one of router"),
        ("all = false", "settings[0].all: is false; allowed: true"),
        ('router = "taman-3"', 'settings[0].router: there is no router "taman-3"; did you mean'),
        ('site = "tamen"', 'settings[0].site: there is no site "tamen"; did you mean taman?'),
        ("all = true\ninterval_s = 4", "settings[0].interval_s: 4 is too small; allowed: a whole"),
        ("all = true\nreach_every_s = 59", "settings[0].reach_every_s: 59 is too small; allowed"),
        ("all = true\nintervall_s = 5", "settings[0].intervall_s: there is no such key; did you"),
        (
            'all = true\nreach_targets = ["a"]',
            "settings[0].reach_targets: 'a' is none of addresses",
        ),
        (
            'all = true\nreach_targets = ["a:0"]',
            "settings[0].reach_targets: 'a:0' has no port from",
        ),
        ('all = true\nreach_names = ["a","b","c","d","e"]', "settings[0].reach_names: 5 names are"),
        (
            'all = true\nlog_level = "loud"',
            'settings[0].log_level: "loud" is none of them; allowed',
        ),
        ("all = true\n[[settings]]\nall = true", "settings[1]: is for the same as settings[0]; w"),
    ],
)
def test_a_bad_table_is_an_error_with_its_key_and_a_remedy(
    file: Path, table: str, words: str
) -> None:
    """In the collector's log too, which keeps the configuration of before."""
    assert words == settings(f"\n[[settings]]\n{table}\n", file)[: len(words)]


def test_a_broker_or_a_path_cannot_be_set(file: Path) -> None:
    """They are no keys: nobody can send a router elsewhere from a distance."""
    fields = {one.name for one in dataclasses.fields(RouterSettings)}
    assert not {"broker", "host", "password_file", "ca_file"} & fields
    assert "there is no such key" in settings('\n[[settings]]\nall = true\nbroker = "x"\n', file)


def test_set_writes_a_table_changes_keys_of_it_and_takes_it_out(file: Path) -> None:
    """Comments and all other lines stay."""
    assert 0 == run(file, "set", "taman-1", "interval_s=60", "reach_targets=a:1,[::1]:2").exit_code
    table = (
        '\n[[settings]]\nrouter = "taman-1"\ninterval_s = 60\nreach_targets = ["a:1", "[::1]:2"]\n'
    )
    assert TEXT + table == file.read_text()
    run(file, "set", "taman-1", "reach_targets=none", "interval_s=", "probe=false")
    table = '\n[[settings]]\nrouter = "taman-1"\nreach_targets = []\nprobe = false\n'
    assert TEXT + table == file.read_text()
    run(file, "set", "taman-1", "reach_targets=", "probe=")
    assert TEXT == file.read_text()


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ('["a:1", "[::1]:2"]', '["a:1", "[::1]:2"]'),
        ("[a:1,[::1]:2]", '["a:1", "[::1]:2"]'),  # a shell took the quotes
        ("[]", "[]"),
    ],
)
def test_set_takes_a_list_as_the_file_has_it(file: Path, typed: str, written: str) -> None:
    """Who copies it from there need not write it otherwise."""
    assert 0 == run(file, "set", "taman-1", f"reach_targets={typed}").exit_code
    assert f"reach_targets = {written}\n" in file.read_text()


def test_set_leaves_what_is_noted_beside_a_key(file: Path) -> None:
    """Behind it, or between the lines of a list."""
    noted = "[[settings]]\nall = true\ninterval_s = 60  # LTE\n"
    noted += 'reach_targets = [\n  "[::1]:443", # far [2]\n] # b\n'
    file.write_text(file.read_text() + noted)
    assert run(file, "set", "--all", "interval_s=90", "reach_targets=8.8.8.8:53").exit_code == 0
    after = 'interval_s = 90  # LTE\n# far [2]\nreach_targets = ["8.8.8.8:53"] # b\n'
    assert f"[[settings]]\nall = true\n{after}" in file.read_text()
    run(file, "set", "--all", "interval_s=")
    assert "all = true\n# far [2]\n" in file.read_text()


def test_set_reports_what_each_router_gets_and_a_dry_run_changes_nothing(file: Path) -> None:
    """Where a narrower table counts, nothing changes."""
    run(file, "set", "taman-2", "interval_s=10")
    before = file.read_text()
    shown = run(file, "set", "--site", "taman", "interval_s=60", "log_level=debug", "--dry-run")
    assert before == file.read_text()
    assert [
        "taman-1: its own becomes interval_s=60, its own becomes log_level=debug",
        "taman-2: its own becomes log_level=debug",
        "2 of 2 routers would run with other settings; nothing was changed",
    ] == shown.output.splitlines()
    run(file, "set", "--tag", "lte", "interval_s=300")
    shown = run(file, "set", "--all", "interval_s=90")
    assert [
        "0 of 3 routers are to run with other settings",
        "the others stay: a narrower table counts, or it was so before; see: titik router set NAME",
    ] == shown.output.splitlines()
    wanted = {"taman-1": (300, None), "taman-2": (10, None), "pasar-1": (300, None)}
    assert wanted == intervals(file)


@pytest.mark.parametrize(("state", "status"), [("applied", 0), ("refused", 1), ("rolled-back", 1)])
def test_set_that_waits_fails_where_a_router_does_not_take_it(
    file: Path, state: Literal["applied", "refused", "rolled-back"], status: int
) -> None:
    """It says first what it waits for."""
    wished = RouterSettings("taman-1", 1, interval_s=60)
    with opened(file.with_name("titik.db"), ["taman-1"]) as db, db.transaction():
        presence_rows.write(db, {1: PresenceRow("online")})
        wishes.wish(db, 1, wished, T0)
        outcome = Outcome(1, state, "why")
        wishes.hear(db, 1, Running("taman-1", RUN, "0.2.0", settings=outcome), T0)
    result = run(file, "set", "taman-1", "interval_s=60", "--wait")

    assert status == result.exit_code, result.output
    assert [
        "waiting until 1 router answers, for up to 60 s ...",
        f"{state}: 1 (taman-1)",
        "  taman-1: why",
    ] == result.output.splitlines()[2:]


def test_nobody_waits_for_routers_that_are_away(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are named at once, and it is no failure; the others are waited for."""
    monkeypatch.setattr(router_set, "WISH_WAIT_S", 60.0)
    began_s = time.monotonic()
    with opened(file.with_name("titik.db"), ["taman-1", "taman-2"]) as db, db.transaction():
        presence_rows.write(db, {1: PresenceRow("offline")})
    result = run(file, "set", "--site", "taman", "interval_s=60", "--wait")

    assert 0 == result.exit_code, result.output
    assert [
        "not waited for: taman-1, taman-2, offline or never heard; a router that is away gets it"
        " when it is back",
        "waiting: 2 (taman-1, taman-2)",
    ] == result.output.splitlines()[3:]
    assert time.monotonic() - began_s < 60.0
    monkeypatch.setattr(router_set, "WISH_WAIT_S", 0.0)
    with opened(file.with_name("titik.db"), ["taman-1", "taman-2"]) as db, db.transaction():
        presence_rows.write(db, {2: PresenceRow("online")})
    result = run(file, "set", "--site", "taman", "interval_s=70", "--wait")
    assert [
        "waiting until 1 router answers, for up to 0 s ...",
        "not waited for: taman-1, offline or never heard; a router that is away gets it when it"
        " is back",
        "waiting: 2 (taman-1, taman-2)",
        "waiting: no answer yet; a router that is away gets it when it is back",
    ] == result.output.splitlines()[3:]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("taman-1", "interval_s=soon"), 'settings.interval_s: "soon" is no whole number; allowed'),
        (
            ("taman-1", "intervall_s=5"),
            "settings.intervall_s: cannot be set from a distance; did you mean interval_s?",
        ),
        (
            ("taman-1", "targets=a:1"),  # as a router's own file calls it
            "settings.targets: cannot be set from a distance; did you mean reach_targets?",
        ),
        (
            ("taman-1", "broker=x"),
            "settings.broker: cannot be set from a distance; these can: interval_s, reach_targets,",
        ),
        (
            ("taman-1", "broker="),
            "settings.broker: cannot be set from a distance; these can: interval_s, reach_targets,",
        ),
        (
            ("taman-1", "router=taman-2", "interval_s=60"),  # nor for another router
            "settings.router: cannot be set from a distance; these can: interval_s, reach_targets,",
        ),
        (("taman-3", "interval_s=60"), 'router: there is no router "taman-3"; see: titik router'),
        (("--site", "tamn", "probe=true"), 'site: there is no site "tamn"; did you mean taman?'),
        (
            ("--tag", "solar", "probe=true"),
            'tag: no router has the tag "solar"; give it some: titik',
        ),
        (("interval_s=60",), "give the NAME of one router, or one of --site, --tag, --all"),
        (("taman-1", "--all", "interval_s=60"), "give the NAME of one router, or one of --site"),
        (("taman-1", "interval_s"), "interval_s: give its value, as in interval_s=VALUE"),
    ],
)
def test_set_refuses_what_cannot_be(file: Path, words: tuple[str, ...], error: str) -> None:
    """By one line, and the file stays as it is."""
    result = run(file, "set", *words)
    assert result.exit_code != 0
    assert error in result.output
    assert TEXT == file.read_text()


def test_tags_are_added_and_removed(file: Path) -> None:
    """Each once; the other lines of the file stay."""
    result = run(file, "tag", "taman-1", "taman-2", "--add", "solar", "--remove", "lte")
    assert [
        "taman-1: roof solar",
        "taman-2: solar",
        "2 of 2 routers changed",
    ] == result.output.splitlines()
    found = {one.name: one.tags for one in model.load(file).router}
    assert {"taman-1": ("roof", "solar"), "taman-2": ("solar",), "pasar-1": ("lte",)} == found
    assert "# Behind the stage." in file.read_text()
    assert 1 == run(file, "tag", "taman-1", "--add", "On Roof").exit_code


@pytest.mark.parametrize(
    ("words", "tagged"),
    [
        (("--all",), ["taman-1", "taman-2", "pasar-1"]),
        (("--site", "taman"), ["taman-1", "taman-2"]),
        (("--tag", "lte"), ["taman-1", "pasar-1"]),
        (("taman-2", "taman-2"), ["taman-2"]),
    ],
)
def test_many_routers_are_tagged_at_once(
    file: Path, words: tuple[str, ...], tagged: list[str]
) -> None:
    """Chosen as for `set`; by names too."""
    result = run(file, "tag", *words, "--add", "feed")
    assert result.output.splitlines()[-1].startswith(f"{len(tagged)} of {len(tagged)} router")
    assert tagged == [one.name for one in model.load(file).router if "feed" in one.tags]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ((), "give the NAMEs of routers, or one of --site, --tag, --all"),
        (("taman-1", "--all"), "give the NAMEs of routers, or one of --site, --tag, --all"),
        (("--site", "taman", "--tag", "lte"), "give the NAMEs of routers, or one of --site"),
        (("--site", "tamn"), 'site: there is no site "tamn"; did you mean taman?'),
        (("--tag", "solar"), 'tag: no router has the tag "solar"'),
        (("taman-1", "taman-3"), 'router: there is no router "taman-3"'),
    ],
)
def test_nobody_is_tagged_where_the_choice_cannot_be(
    file: Path, words: tuple[str, ...], error: str
) -> None:
    """By one line, and the file stays as it is."""
    result = run(file, "tag", *words, "--add", "feed")
    assert result.exit_code != 0
    assert error in result.output
    assert TEXT == file.read_text()


def test_a_router_that_is_removed_takes_its_settings_along(file: Path) -> None:
    """Else the file would name a router that it does not have."""
    run(file, "set", "taman-2", "interval_s=10")
    run(file, "set", "--all", "interval_s=90")
    with edit.editing(file) as city:
        edit.remove(city, "taman-2")
    assert [None] == [one.router for one in model.load(file).settings]
    assert {"taman-1", "pasar-1"} == set(intervals(file))
