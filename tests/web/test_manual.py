"""What docs/web.md shows of the configuration is read by the program."""

import re
from pathlib import Path

import pytest

from tests.collector.test_router_command import TEXT
from titik_collector.config import model
from titik_collector.config.page_tables import Web

MANUAL = (Path(__file__).parents[2] / "docs" / "web.md").read_text()
PARTS = re.findall(r"```\n(\[web\]\n.*?)```", MANUAL, re.S)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_configuration_is_accepted(part: str, tmp_path: Path) -> None:
    """Put into a file that is whole, on the engine that it is for."""
    text = TEXT
    if "store_url" in part:
        text = text.replace('path = "titik.db"', 'url = "postgresql://titik@db.example/city"')
    file = tmp_path / "titik.toml"
    file.write_text(f"{text}\n{part}")
    assert model.load(file).web != Web()


def test_the_manual_has_parts() -> None:
    """So the test above looks at something."""
    assert len(PARTS) > 3
