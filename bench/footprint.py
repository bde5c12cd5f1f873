"""What the server half takes of a machine: on its disk by each extra, and in memory as it works.

Rule: a process is measured after it did all of its kinds of work. A city that is larger needs
more; see the parts on cities.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from bench import procfs
from bench.results import ROOT, Length, Result
from tests.ports import free_port
from tests.postgres import Postgres
from tests.system.city import City, OnServer, Process
from tests.until import until
from titik_collector.config.store_table import Store

COMMAND: Final = "python -m bench.run --only footprint"
MB = 1e6
EXTRAS = {
    "without an extra": "",
    "with `server`": "[server]",
    "with `server` and `postgres`": "[server,postgres]",
}
MAX_PAGE_MB = 60
_SAY_PEAK = """
import atexit, sys
atexit.register(lambda: print(open("/proc/self/status").read(), file=sys.stderr))
from titik_collector.cli import main
main()
"""
SCREENS = (
    "/", "/site/taman-tirosa", "/router/tirosa-1", "/history", "/happened",
    "/api/v1/now", "/api/v1/history/city/city", "/wall",
)  # fmt: skip


def run(length: Length) -> list[Result]:
    """Every figure."""
    rounds = 1 if length == "quick" else 3
    with Postgres() as server:
        engines = [*_memory("SQLite", rounds), *_memory("PostgreSQL", rounds, server)]
    # pip asks the package index, which a test does without.
    installed = [] if length == "quick" else _installed()
    return [*installed, *engines, *_commands()]


def _installed() -> list[Result]:
    """All that pip puts beside Titik, and Titik; `pip` itself is there before."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.mkdir()
        packed = subprocess.run(
            ["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True
        )
        subprocess.run(["tar", "x"], cwd=source, input=packed.stdout, check=True)
        for name, extra in EXTRAS.items():
            target = Path(folder) / f"with{extra}"
            pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            subprocess.run([*pip, "--target", str(target), f"{source}{extra}"], check=True)
            size = sum(one.stat().st_size for one in target.rglob("*") if one.is_file())
            packages = len(list(target.glob("*.dist-info")))
            note = f"{packages} packages, sources and bytecode"
            results.append(
                Result(f"installed size {name}", "MB", (size / MB,), None, COMMAND, note)
            )
    return results


def _memory(engine: str, rounds: int, server: Postgres | None = None) -> list[Result]:
    """Of collector and page, each in a city of one router whose broker is its own."""
    collector, page = [], []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            place = None if server is None else _on(server, f"footprint{number}")
            with City(Path(folder), server=place) as city:
                collecting = city.collect()
                city.until_taken(city.node(), 5)
                with _page(city) as (serving, address):
                    for screen in SCREENS:
                        for language in ("id", "en"):
                            assert _visit(f"{address}{screen}?lang={language}"), screen
                    page.append(procfs.rss(serving.popen.pid) / MB)
                collector.append(procfs.rss(collecting.popen.pid) / MB)
    limit = f"<= {MAX_PAGE_MB}" if server is None else None
    return [
        Result(f"RSS of the collector on {engine}", "MB", tuple(collector), None, COMMAND,
               "a city of one router"),
        Result(f"RSS of the page on {engine}", "MB", tuple(page), limit, COMMAND,
               "every screen in both languages"),
    ]  # fmt: skip


def _on(server: Postgres, schema: str) -> OnServer:
    where = Store(url=server.url, schema=schema)
    return OnServer(where, f'url = "{server.url}"\nschema = "{schema}"')


@contextmanager
def _page(city: City) -> Iterator[tuple[Process, str]]:
    """`titik web` of the city, when it answers."""
    port = free_port()
    file = city.folder / "page.toml"
    file.write_text(f"{city.file.read_text()}\n[web]\nport = {port}\n")
    given = ("-m", "titik_collector", "web", "--config", str(file))
    serving = Process(city.folder / "page.log", *given)
    try:
        address = f"http://127.0.0.1:{port}"
        assert until(lambda: _visit(f"{address}/healthz"), True), serving.output()
        yield serving, address
    finally:
        serving.stop()


def _visit(address: str) -> bool:
    """Whether it answers."""
    try:
        return httpx.get(address, headers={"Connection": "keep-alive"}, timeout=60).is_success
    except httpx.TransportError:
        return False


def _commands() -> list[Result]:
    """The most that a command took while it did nothing but load what it needs."""
    commands = ("titik --help", "titik status --help", "titik collect --help", "titik web --help")
    return [
        Result(f"most memory of `{one}`", "MB", (_peak(one) / MB,), None, COMMAND)
        for one in commands
    ]


def _peak(command: str) -> int:
    """As the kernel counts it for the program alone, without the one that started it."""
    done = subprocess.run(
        [sys.executable, "-c", _SAY_PEAK, *command.split()[1:]],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return int(re.findall(r"VmHWM:\s+(\d+) kB", done.stderr)[0]) * 1024
