"""A thousand routers on a terminal of 80 columns and 24 lines; one of them in detail."""

import io
import os
import pty
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console, RenderableType

from tests.cases import few
from tests.collector.build import sample
from tests.collector.test_status import CITY
from tests.collector.test_status import screen as fill
from tests.collector.test_status_check import city, router
from titik_collector.config import model
from titik_collector.queries.server_warnings import Warned
from titik_collector.queries.status import CityStatus
from titik_collector.registry.sync import sync
from titik_collector.screens import status_detail, status_screen
from titik_collector.screens.top_screen import TopScreen
from titik_collector.store.lease import held
from titik_collector.store.sqlite import open_writer
from titik_wire.messages import Bss, Host, Visitors

ZONE = ZoneInfo("Asia/Makassar")
WARNED = Warned("critical", "nothing is stored for 63 s: database or disk is full")


def text(shown: RenderableType, columns: int = 80, height: int = 24) -> list[str]:
    """As a terminal shows it."""
    out = io.StringIO()
    Console(file=out, width=columns, height=height).print(shown)
    return out.getvalue().splitlines()


def thousand(away: int) -> CityStatus:
    """A hundred sites of ten routers; of the last sites one router each is away."""
    sites = []
    for number in range(100):
        state = "offline" if number >= 100 - away else "online"
        routers = [router(f"r-{number}-{one}", site=f"site-{number:02d}") for one in range(9)]
        routers.append(router(f"r-{number}-9", state, f"site-{number:02d}"))
        sites.append((f"site-{number:02d}", routers))
    return replace(city(*sites), warnings=(WARNED,))


@pytest.mark.parametrize("away", [0, 1, 5, 100])
def test_a_thousand_routers_fit_one_terminal(away: int) -> None:
    """Warnings, the worst routers, their sites, and what is left out."""
    lines = text(status_screen.render(thousand(away), height=24))

    assert len(lines) < 24
    assert max(len(line) for line in lines) <= 80
    assert f"critical: {WARNED.text}" == lines[0]
    if away:
        assert f"{away} of 1,000 routers {'has' if away == 1 else 'have'} a problem:" == lines[1]
        first = 100 - away
        assert f"  r-{first}-9 at site-{first:02d}: offline for 5 min" == lines[2]
        assert any(line.startswith(f"site-{first:02d} ") for line in lines)
    assert any("the lines of 1,000 routers are left out: titik status --all" in x for x in lines)


@pytest.mark.thorough
def test_all_of_a_thousand_routers_are_shown_when_asked_for() -> None:
    """In a file, or to search in."""
    lines = text(status_screen.render(thousand(1), height=24, everything=True))

    assert 1000 == len(
        [line for line in lines if re.match(r"  r-\d+-\d ", line) and " at " not in line]
    )


def test_a_small_city_is_not_folded() -> None:
    """Ten hotspots on the smallest terminal."""
    sites = [(f"site-{n}", [router(f"r-{n}", site=f"site-{n}")]) for n in range(10)]
    lines = text(status_screen.render(city(*sites), height=24))

    assert len(lines) < 24
    assert 10 == len([line for line in lines if re.match(r"r-\d ", line)])


@pytest.mark.parametrize("scrolled", few(2, [0, 10**6, 7, 500, -3]))
def test_top_scrolls_rows_and_never_a_warning(scrolled: int) -> None:
    """The last row is the edge."""
    screen = TopScreen(thousand(3))
    text(screen)
    screen.scroll(scrolled)
    lines = text(screen)

    assert len(lines) <= 24
    assert f"critical: {WARNED.text}" == lines[0]
    assert "3 of 1,000 routers have a problem:" == lines[1]
    (at,) = [int(one) for one in re.findall(r"rows (\d+) to \d+ of 1,101", lines[-1])]
    room = 24 - 5 - 2
    assert 1 + max(0, min(scrolled, 1101 - room)) == at


def test_top_s_first_rows_are_those_with_problems() -> None:
    """The city, then the sites in which a router is away."""
    lines = text(TopScreen(thousand(1)))

    assert any(line.startswith("City ") for line in lines)
    assert any(line.startswith("site-99 ") for line in lines)


def test_a_router_in_detail_says_what_it_runs_on() -> None:
    """Versions, radios, interfaces, and the sources it cannot read."""
    last = sample(
        9,
        host=Host(load_1m=0.31, temp_c=51.0),
        visitors=Visitors(212, 1_795_300_000_000),
        flow_offload=True,
        bss=(
            Bss("phy0-ap0", ssid="Kupang Smart City", band="2g", channel=6, clients=17, active=12),
            Bss("phy1-ap0", off_air=True),
            Bss("ap-mld0", clients=3, undercounted=True),
        ),
    )
    one = replace(
        router("tirosa-1"),
        firmware="OpenWrt 24.10.1",
        model="GL-MT3000",
        sample=last,
        failed=("survey",),
    )
    lines = text(status_detail.render(city(("tirosa", [one])), one, ZONE))
    facts = dict(
        re.split(r"  +", line, maxsplit=1) for line in lines if re.match(r"\w[\w ]+  +\S", line)
    )

    assert ("0.1.0", "OpenWrt 24.10.1", "GL-MT3000", "212") == tuple(
        facts[name].strip() for name in ("agent", "firmware", "model", "visitors")
    )
    assert "WITA" in facts["online since"]
    assert "on, bytes may be too low" in facts["flow offload"]
    assert any(re.search(r"phy0-ap0 +Kupang Smart City +2g +6 +17 +12", line) for line in lines)
    assert any(re.search(r"phy1-ap0 .* off the air", line) for line in lines)
    assert any(re.search(r"ap-mld0 .* 3\+ ", line) for line in lines)


def test_a_site_in_detail_lists_versions_of_its_routers() -> None:
    """So that an upgrade is seen to be complete."""
    found = city(("tirosa", [router("tirosa-1"), router("tirosa-2", "offline")]))
    lines = text(status_detail.render(found, found.sites[0], ZONE))

    assert "tirosa-1: agent 0.1.0" in lines
    assert "tirosa-2: offline for 5 min; agent 0.1.0" in lines


@pytest.mark.thorough
def test_top_takes_keys_on_a_terminal(tmp_path: Path) -> None:
    """A real one of 80 by 24: Page Down scrolls, q ends and gives the screen back."""
    fill(tmp_path)
    toml = CITY + "".join(
        f'[[router]]\nname = "more-{number}"\nsite = "solor"\n' for number in range(40)
    )
    (tmp_path / "titik.toml").write_text(toml)
    db = open_writer(tmp_path / "db")
    sync(db, model.load(tmp_path / "titik.toml"), 1)
    db.close()
    with held(tmp_path / "db"):
        pid, terminal = pty.fork()
        if pid == 0:
            path = os.pathsep.join(one for one in sys.path if one)
            code = "from titik_collector.cli import main; main()"
            os.execve(
                sys.executable,
                [sys.executable, "-c", code, "top", "--config", str(tmp_path / "titik.toml")],
                {"PYTHONPATH": path, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
            )
        shown = _until(terminal, b"", b"rows 1 to ")
        os.write(terminal, b"\x1b[6~")
        shown = _until(terminal, shown, b"rows 11 to ")
        os.write(terminal, b"q")
        shown = _until(terminal, shown, b"\x1b[?1049l")
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    assert b"\x1b[?1049l" in shown


def _until(terminal: int, shown: bytes, wanted: bytes) -> bytes:
    """Read until it was shown, a minute at most."""
    end = time.monotonic() + 60
    while wanted not in shown:
        assert time.monotonic() < end, shown
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:  # EIO: the other end is closed
            break
        shown += chunk
    return shown
