"""Runs the benchmarks: all of them, or those named."""

import importlib
import sys
import time
from pathlib import Path

import click

from bench import results
from bench.results import Length

PARTS = (
    "store", "history", "live", "size", "collector", "stages", "agent", "fleet", "broker",
    "latency", "page", "streams", "hung", "footprint", "prometheus", "moving", "city10k",
    "city10k_wide",
)  # fmt: skip
# Twenty minutes each: only where asked for. The second has the code of the first, which is enough
# for the quick length.
LEFT_OUT = {None: {"city10k", "city10k_wide"}, "quick": {"city10k_wide"}, "full": set[str]()}


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
    for name in only or [one for one in PARTS if one not in LEFT_OUT[length]]:
        began = time.monotonic()
        click.echo(f"{name} ...", err=True)
        found = importlib.import_module(f"bench.{name}").run(length or "usual")
        for one in found:
            verdict = {True: "reached", False: "NOT REACHED", None: ""}[one.reached()]
            click.echo(
                f"  {one.name}: {one.median:.4g} {one.unit}"
                f" [{min(one.runs):.4g}-{max(one.runs):.4g}] {one.target or ''} {verdict}"
            )
        results.save(out, {name: found})
        click.echo(f"{name} took {time.monotonic() - began:.0f} s", err=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
