"""`titik report`, as it is typed."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.collector.test_day_strip import away
from tests.web import cities
from titik_collector.cli import titik
from titik_collector.reports import period as periods
from titik_wire.instant import HOUR_MS


@pytest.fixture
def typed(tmp_path: Path) -> tuple[str, ...]:
    """The month and the configuration of a city in which one router was away."""
    with cities.city(tmp_path) as city:
        at_ms = cities.now_ms() - 3 * HOUR_MS
        away(city.db, 1, at_ms, at_ms + HOUR_MS)
        month = periods.at(at_ms + HOUR_MS, city.config.city.timezone)
    return ("report", month.name, "--config", str(tmp_path / "titik.toml"))


def test_a_report_is_written_in_each_form(typed: tuple[str, ...], tmp_path: Path) -> None:
    """And the terminal has a few lines."""
    files = {one: tmp_path / f"r.{one}" for one in ("html", "csv", "interruptions")}
    options = [part for name, file in files.items() for part in (f"--{name}", str(file))]
    found = CliRunner().invoke(titik, [*typed, "--language", "en", *options])
    figures = [one for one in found.output.splitlines() if not one.startswith("Data ")]
    assert (0, 7) == (found.exit_code, len(figures))
    assert "available: " in found.output
    assert "power cut" in files["interruptions"].read_text()
    assert "Kota Kupang" in files["html"].read_text()
    assert 2 < len(files["csv"].read_text().splitlines())


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        (["2026-99"], "is no month and no year"),
        (["2099-01"], "2099-01 has not begun; the newest is"),
        (["--provider", "Telkam"], "did you mean Telkom"),
        (["--provider", "Telkom", "--site", "x"], "give one of --provider, --district and --site"),
    ],
)
def test_what_cannot_be_is_one_line_with_the_remedy(
    typed: tuple[str, ...], changed: list[str], wrong: str
) -> None:
    """No traceback."""
    words = [*typed]
    if changed[0].startswith("2"):
        words[1] = changed[0]
    else:
        words += changed
    found = CliRunner().invoke(titik, words)
    assert 0 != found.exit_code
    assert wrong in found.output
