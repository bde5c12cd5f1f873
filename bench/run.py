"""Runs the benchmarks: all of them, or those named.

Rule: what is measured has the machine to itself. The quick length judges no time, and most of its
parts wait, so it runs two at a time, each in a process of its own.
"""

import importlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE, STDOUT

import click

from bench import results
from bench.results import Length

PARTS = (
    "store", "history", "live", "size", "collector", "stages", "agent", "fleet", "broker",
    "latency", "page", "streams", "hung", "restore", "footprint", "prometheus",
    "moving", "city10k", "city10k_wide",
)  # fmt: skip
LANES = 2  # parts at a time in the quick length
# Twenty minutes each: only where asked for. The second has the code of the first, which is enough
# for the quick length. A move is minutes, and has tests.
LEFT_OUT = {
    None: {"city10k", "city10k_wide"},
    "quick": {"city10k_wide", "moving"},
    "full": set[str](),
}


@click.command()
@click.option(
    "--quick",
    "length",
    flag_value="quick",
    help="Small numbers: does it work? The figures mean little.",
)
@click.option(
    "--full",
    "length",
    flag_value="full",
    help="A city of 10,000 routers, too, and twenty minutes of two such cities.",
)
@click.option("--only", multiple=True, type=click.Choice(PARTS))
@click.option("--out", type=click.Path(path_type=Path), default=results.FILE, show_default=True)
def main(length: Length | None, only: tuple[str, ...], out: Path) -> None:
    """Measure, and write the results as JSON; what was not measured stays as it is there."""
    parts = only or tuple(one for one in PARTS if one not in LEFT_OUT[length])
    if length == "quick" and len(parts) > 1:
        sys.exit(_quickly(parts, out))
    for name in parts:
        _measure(name, length or "usual", out)


def _measure(name: str, length: Length, out: Path) -> None:
    began = time.monotonic()
    click.echo(f"{name} ...", err=True)
    found = importlib.import_module(f"bench.{name}").run(length)
    for one in found:
        verdict = {True: "reached", False: "NOT REACHED", None: ""}[one.reached()]
        click.echo(
            f"  {one.name}: {one.median:.4g} {one.unit}"
            f" [{min(one.runs):.4g}-{max(one.runs):.4g}] {one.target or ''} {verdict}"
        )
    results.save(out, {name: found})
    click.echo(f"{name} took {time.monotonic() - began:.0f} s", err=True)


def _quickly(parts: tuple[str, ...], out: Path) -> int:
    """The longest, which is the last, begins first. The status is that of the worst."""

    def run(name: str) -> int:
        file = out.with_suffix(f".{name}.json")
        command = [sys.executable, "-m", "bench.run", "--quick", "--only", name, "--out", str(file)]
        done = subprocess.run(command, check=False, stdout=PIPE, stderr=STDOUT, text=True)
        click.echo(done.stdout, nl=False)
        return abs(done.returncode)

    with ThreadPoolExecutor(LANES) as lanes:
        return max(lanes.map(run, reversed(parts)))


if __name__ == "__main__":
    main()
