"""What the commands say of a store whose file is damaged."""

import random
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.collector.test_past import CONFIG, two_hours
from titik_collector.cli import titik

PAGE = 4096


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration whose store has noise in the middle, as a failing disk leaves it."""
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "titik.toml").write_text(CONFIG)
    with two_hours(folder / "db"):
        pass
    with (folder / "db").open("r+b") as store:
        store.seek(10 * PAGE)
        store.write(random.Random(1).randbytes(20 * PAGE))
    return folder / "titik.toml"


@pytest.mark.parametrize(
    "command", ["status", "top", "db check", "history city", "export", "events"]
)
def test_a_damaged_store_is_one_line_with_the_remedy(file: Path, command: str) -> None:
    """Whichever command meets the damage, and wherever."""
    done = CliRunner().invoke(titik, [*command.split(), "--config", str(file)])
    assert 1 == done.exit_code, done.output
    assert isinstance(done.exception, SystemExit)
    assert re.fullmatch(
        rf"Error: {file.parent}/db: .*; stop the collector, .* titik restore --only-store FILE\n",
        done.output,
    )
