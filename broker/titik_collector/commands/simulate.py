"""`titik simulate`: a fleet of real agents over made-up radios, against a real broker."""

import contextlib
import resource
import time
from datetime import datetime
from pathlib import Path

import click

from titik_collector import config, registry_file
from titik_collector.broker_dir import BrokerDir, BrokerError
from titik_collector.commands import plainly
from titik_collector.config import Config, Router

DEFAULT_CAPACITY = 100  # of a site that does not say
FILES_PER_ROUTER = 2
SPARE_FILES = 256


@click.command()
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    default=config.DEFAULT_FILE,
    show_default=True,
    help="The server's configuration; its routers are simulated.",
)
@click.option("--routers", type=click.IntRange(1, 100_000), help="How many; more are registered.")
@click.option("--interval", default=30.0, show_default=True, help="Seconds between samples.")
@click.option("--for", "seconds", type=float, help="Stop after so many seconds.")
@click.option("--speed", default=1.0, show_default=True, help="How fast the simulated day runs.")
@click.option(
    "--begin",
    type=click.DateTime(["%H:%M"]),
    metavar="HH:MM",
    help="Local time at which the simulated day begins; else now.",
)
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same people.")
@click.option("--first-wait", default=40.0, show_default=True, help="Longest first wait (s).")
@click.option("--outage", help="ROUTER:AFTER:LENGTH, in seconds: cut one router's uplink.")
@click.option(
    "--spools",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep what is not acked here, for the next run; else in RAM.",
)
@click.option("--leave", multiple=True, metavar="ROUTER", help="Do not simulate this one.")
def simulate(
    file: Path,
    routers: int | None,
    interval: float,
    seconds: float | None,
    speed: float,
    begin: datetime | None,
    seed: int,
    first_wait: float,
    outage: str | None,
    spools: Path | None,
    leave: tuple[str, ...],
) -> None:
    """Run the routers of a configuration, with made-up radios.

    Sampling, spool, publishing and back-off are the agent's own code. With --routers N, routers
    that are missing are registered as sim-0001 and so on.
    """
    # Imported here: only this command and the demo need the agent's code.
    from titik_collector.simulate import Plan, WorldTime, build

    with plainly():
        city = config.load(file)
        made = _broker(city)
        chosen = [one for one in _chosen(city, made, routers) if one.name not in leave]
        capacity = {site.name: site.capacity or DEFAULT_CAPACITY for site in city.site}
        plans = [
            Plan(one.name, one.site, capacity[one.site], made.password(one.name)) for one in chosen
        ]
    _allow_files(len(plans))
    zone = city.city.timezone
    world = WorldTime(zone, speed, begin and begin.replace(tzinfo=zone))
    fleet = build(plans, made.host, made.ports.router, interval, world, seed, first_wait, spools)
    click.echo(f"simulating {len(plans)} routers, local time there {world.text()}, x{speed:g}")
    until = float("inf") if seconds is None else time.monotonic() + seconds
    cut = _Cut(outage, {node.name: node for node in fleet.nodes})
    with contextlib.suppress(KeyboardInterrupt):
        fleet.run(until, cut)
    fleet.stop()
    taken = sum(node.sampler.seq for node in fleet.nodes)
    held = sum(node.spool.spooled for node in fleet.nodes)
    merged = sum(node.spool.merged for node in fleet.nodes)
    lost = sum(node.spool.lost for node in fleet.nodes)
    click.echo(f"routers took {taken} samples; merged {merged}, lost {lost}, not yet acked {held}")


class _Cut:
    """Cuts one router's uplink once, after a while."""

    def __init__(self, text: str | None, nodes: dict[str, object]) -> None:
        self._at = float("inf")
        if text is None:
            return
        name, _, times = text.partition(":")
        after, _, length = times.partition(":")
        try:
            self._at, self._length = time.monotonic() + float(after), float(length)
            self._node = nodes[name]
        except (ValueError, KeyError):
            raise click.ClickException(
                f"--outage {text}: use ROUTER:AFTER:LENGTH with one of {', '.join(nodes)}"
            ) from None

    def __call__(self) -> None:
        if time.monotonic() >= self._at:
            self._at = float("inf")
            self._node.cut(self._length)  # type: ignore[attr-defined]


def _broker(city: Config) -> BrokerDir:
    if city.broker.directory is None:
        raise BrokerError("broker.directory: is needed, for the routers' passwords lie there")
    return BrokerDir.open(city.broker.directory)


def _chosen(city: Config, made: BrokerDir, wanted: int | None) -> list[Router]:
    """The routers to simulate, registered if they were not."""
    known = list(city.router)
    missing = max(0, (wanted or 0) - len(known))
    names = {one.name for one in known}
    numbers = range(1, len(known) + missing + 1)
    fresh = [name for name in (f"sim-{number:04}" for number in numbers) if name not in names]
    new = [
        Router(name=name, site=city.site[number % len(city.site)].name)
        for number, name in enumerate(fresh[:missing])
    ]
    if new:
        registry_file.add_many(city, new)
    made.add_users([one.name for one in (*known, *new)])
    return [*known, *new][: wanted or len(known)]


def _allow_files(routers: int) -> None:
    """As many descriptors as the routers need, if the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = routers * FILES_PER_ROUTER + SPARE_FILES
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
