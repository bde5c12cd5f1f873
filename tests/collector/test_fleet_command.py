"""`titik fleet`: somebody orders an upgrade, holds it up, and ends it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.collector.build import opened
from tests.collector.test_router_command import TEXT
from titik_collector.alerts.desk_facts import RolloutOrder
from titik_collector.cli import titik
from titik_collector.config import model
from titik_collector.desk import posting
from titik_collector.store import presence_rows, rollout_rows, settings
from titik_collector.store.presence_rows import PresenceRow
from titik_collector.store.rollout_rows import RolloutRow, RolloutState

NEW, BAD = "0.2.0", "0.3.0"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A city whose first router has a tag."""
    path = tmp_path / "titik.toml"
    path.write_text(TEXT.replace('name = "tirosa-1"\n', 'name = "tirosa-1"\ntags = ["lte"]\n'))
    with opened(tmp_path / "titik.db"):
        return path


def test_commands_order_it_and_the_collector_reads_that(file: Path) -> None:
    """One at a time; each is in the audit with who did it."""

    def types(*arguments: str) -> str:
        given = ["fleet", *arguments, "--config", str(file)]
        return CliRunner().invoke(titik, given).output

    where = model.load(file).page_store

    def posted() -> RolloutOrder | None:
        assert where.path is not None
        return posting.read_file(posting.file_of(where.path).read_bytes()).rollout

    assert "no upgrade was ordered" in types()
    assert "begins within seconds" in types("upgrade", NEW, "--wave", "50", "--canary", "2")
    found = posted()
    assert found is not None
    assert (NEW, "city", 2, 50, "runs") == (*found[1:3], *found[4:6], found.state)
    assert "the upgrade to 0.2.0 goes on; see: titik fleet" in types("upgrade", BAD)
    types("pause")
    found = posted()
    assert found is not None
    assert "paused" == found.state
    types("resume")
    found = posted()
    assert found is not None
    assert ("runs", 1) == (found.state, found.resumes)
    assert "is stopped; routers that run it keep it" in types("stop")
    assert "no upgrade goes on; begin one" in types("resume")
    assert "20%: " not in types("upgrade", NEW, "--tag", "lte")
    assert 'there is no site "nope"' in types("upgrade", NEW, "--site", "nope")
    assert 'no router has the tag "nope"' in types("upgrade", NEW, "--tag", "nope")
    file.write_text(f'{file.read_text()}[[site]]\nname = "empty"\ntitle = "Empty"\n')
    assert "router: there is none to ask" in types("upgrade", NEW, "--site", "empty")
    assert "use a share from 1% to 100%" in types("upgrade", NEW, "--wave", "0")


def test_a_version_that_no_router_can_take_is_refused(file: Path) -> None:
    """A word that is none, and one that is not newer than what any of them is known to run.

    One that was never heard may lack the newest.
    """

    def types(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(titik, ["fleet", *arguments, "--config", str(file)])
        return done.exit_code, " ".join(done.output.split())

    with opened(file.parent / "titik.db", ("tirosa-1", "tirosa-2")) as db, db.transaction():
        presence_rows.write(db, {1: PresenceRow("online", version="0.1.0")})

    status, output = types("upgrade", "abc")
    assert (2, True) == (status, "'abc': is no version; one looks like 0.2.0" in output)
    for version, *of in (("0.0.9",), ("0.1.0", "--tag", "lte")):
        status, output = types("upgrade", version, *of)
        assert (2, True) == (status, f"{version}: is not newer than what runs: 0.1.0" in output)
        assert "by hand: docs/fleet.md" in output
    assert "no upgrade was ordered" in types()[1]
    assert 0 == types("upgrade", "0.1.0-r1")[0]
    types("stop")
    with opened(file.parent / "titik.db", ("tirosa-1", "tirosa-2")) as db, db.transaction():
        presence_rows.write(db, {2: PresenceRow("offline", version="0.0.8")})
    assert 2 == types("upgrade", "0.0.9", "--tag", "lte")[0]
    assert 0 == types("upgrade", "0.0.9")[0]
    types("stop")
    router = '[[router]]\nname = "tirosa-3"\nsite = "taman-tirosa"\n'
    file.write_text(file.read_text() + router)
    assert 2 == types("upgrade", "0.0.8")[0]  # others run a newer one
    assert 0 == types("upgrade", "0.1.0")[0]
    types("stop")
    with opened(file.parent / "titik.db", ("tirosa-1", "tirosa-2")) as db, db.transaction():
        presence_rows.write(db, {2: PresenceRow("offline", version="0.1.0")})
    file.write_text(f"{file.read_text()}revoked = 2026-11-20\n")
    assert 2 == types("upgrade", "0.1.0")[0]  # who has no access is not awaited


def test_what_the_collector_has_not_taken_in_is_shown(file: Path) -> None:
    """Else the state of before would look as if nothing had been typed."""
    taken: list[RolloutOrder] = []

    def types(*arguments: str) -> str:
        done = CliRunner().invoke(titik, ["fleet", *arguments, "--config", str(file)])
        return done.output

    def takes(state: RolloutState) -> None:
        """The collector is where the newest order is."""
        order = posting.read_file(posting.file_of(file.parent / "titik.db").read_bytes()).rollout
        assert order is not None
        row = RolloutRow(order.number, order.at_ms, NEW, state, order.at_ms, resumes=order.resumes)
        with opened(file.parent / "titik.db") as db, db.transaction():
            rollout_rows.begin(db, row, [])
        taken.append(order)

    assert "no upgrade was ordered" in types()
    types("upgrade", NEW)
    collector = "A collector that hears its broker"
    ordered = f"The upgrade to 0.2.0 was ordered. {collector} begins it in seconds.\n"
    assert ordered == types()
    assert {"v": 1, "pending": ordered.strip()} == json.loads(types("--json"))
    takes("runs")
    assert types().startswith("upgrade to 0.2.0 goes on\n")
    assert "pending" not in json.loads(types("--json"))
    commands: tuple[tuple[str, RolloutState], ...]
    commands = (("pause", "paused"), ("resume", "runs"), ("stop", "stopped"))
    for command, state in commands:
        types(command)
        first, second, *_ = types().splitlines()
        assert f"titik fleet {command} was typed. {collector} takes it in seconds." == first
        assert second.startswith("upgrade to 0.2.0 ")
        takes(state)
        assert types().startswith("upgrade to 0.2.0 ")
    types("upgrade", "0.3.0")
    assert types().startswith("The upgrade to 0.3.0 was ordered. ")
    types("stop")
    assert types().startswith("upgrade to 0.2.0 was stopped")
    assert [0, 0, 1, 1] == [one.resumes for one in taken]


def test_an_order_that_is_older_than_the_store_is_not_shown(file: Path) -> None:
    """Nobody begins it."""
    CliRunner().invoke(titik, ["fleet", "upgrade", NEW, "--config", str(file)])
    with opened(file.parent / "titik.db") as db, db.transaction():
        settings.keep(db, "collected_ms", 2_000_000_000_000_000)
    done = CliRunner().invoke(titik, ["fleet", "--config", str(file)])
    assert done.output.startswith("no upgrade was ordered")
