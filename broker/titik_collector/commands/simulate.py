"""`titik simulate`: a fleet of real agents over made-up radios, against a real broker."""

import contextlib
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from titik_collector.broker_setup.broker_folder import BrokerError, BrokerFolder
from titik_collector.broker_setup.broker_run import allow_open_files
from titik_collector.commands import options, plainly
from titik_collector.config import edit, model
from titik_collector.config.model import Config, ConfigError
from titik_collector.config.site_tables import Router
from titik_collector.wording.names import named

if TYPE_CHECKING:
    from titik_collector.simulation.delivery import Delivery
    from titik_collector.simulation.fleet import Node

FILES_PER_ROUTER = 2
SPARE_FILES = 256
MIN_S = 0.1  # between samples, and of the window of first waits; below it is no router


# One router's uplink is cut: after seconds, for seconds, and again each so many; None: once.
_Outage = tuple[str, float, float, float | None]


def _time_of_day(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%H:%M")
    except ValueError as error:
        raise click.BadParameter(f"{text}: use HH:MM, as 18:30") from error


def _outage(_: click.Context, __: click.Parameter, text: str | None) -> _Outage | None:
    if text is None:
        return None
    number = r":(\d+(?:\.\d+)?)"
    found = re.fullmatch(rf"([^:]+){number}{number}(?:{number})?", text)
    if found is None:
        raise click.BadParameter(f"{text}: use ROUTER:AFTER:LENGTH, as tirosa-1:60:300")
    return found[1], float(found[2]), float(found[3]), float(found[4]) if found[4] else None


@click.command()
@options.config(about="The server's configuration; its routers are simulated.")
@click.option("--routers", type=click.IntRange(1, 100_000), help="How many; made-up ones too.")
@click.option(
    "--interval",
    type=click.FloatRange(MIN_S, 3600),
    default=model.INTERVAL_S,
    help="Seconds between samples.",
)
@click.option("--for", "seconds", type=click.FloatRange(min=0), help="Stop after so many seconds.")
@click.option(
    "--speed",
    type=click.FloatRange(0, 10_000, min_open=True),
    default=model.SPEED,
    help="How fast the simulated day runs.",
)
@click.option(
    "--begin",
    callback=_time_of_day,
    metavar="HH:MM",
    help="Local time at which the simulated day begins; else now.",
)
@click.option("--seed", default=model.SEED, help="The same seed gives the same people.")
@click.option(
    "--first-wait",
    type=click.FloatRange(MIN_S, 3600),
    default=model.FIRST_WAIT_S,
    help="Longest first wait (s).",
)
@click.option(
    "--outage",
    callback=_outage,
    metavar="ROUTER:AFTER:LENGTH[:EVERY]",
    help="In seconds: cut one router's uplink, once or again and again.",
)
@click.option(
    "--spools",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep what is not acked here, for the next run; else in RAM.",
)
@click.option("--past", is_flag=True, help="Send the weeks too that `titik demo` gave the store.")
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
    outage: _Outage | None,
    spools: Path | None,
    past: bool,
    leave: tuple[str, ...],
) -> None:
    """Run the routers of a configuration, with made-up radios.

    Sampling, spool, publishing and back-off are the agent's own code. With --routers N, routers
    that are missing are called sim-0001 and so on, and are in a file of their own beside it.
    """
    # Imported here: only this command and the demo need the agent's code.
    from titik_collector.simulation.delivery import Delivery
    from titik_collector.simulation.fleet import Plan, WorldTime, build

    with plainly(), edit.editing(file) as city:
        made = _broker(city)
        known = _chosen(city, routers)
        _check_simulated(leave, known, "--leave")
        chosen = [one for one in known if one.name not in leave]
        _check_simulated(outage[:1] if outage else (), chosen, "--outage")
        there = _register(city, made, known)
        capacity = {site.name: site.capacity or model.CAPACITY for site in city.site}
        plans = [
            Plan(one.name, one.site, capacity[one.site], made.password(one.name)) for one in chosen
        ]
    if there != file:
        click.echo(f"routers that {file} lacks are in {there}: titik collect --config {there}")
    allow_open_files(len(plans) * FILES_PER_ROUTER + SPARE_FILES)
    zone = city.city.timezone
    world = WorldTime(zone, speed, begin and begin.replace(tzinfo=zone))
    fleet = build(plans, made.host, made.ports.router, interval, world, seed, first_wait, spools)
    click.echo(f"simulating {len(plans)} routers, local time there {world.text()}, x{speed:g}")
    until = float("inf") if seconds is None else time.monotonic() + seconds
    with contextlib.suppress(KeyboardInterrupt):
        delivery = Delivery(city, fleet.nodes) if past else None
        fleet.run(until, _meanwhile(_cutting(outage, fleet.nodes), delivery))
    fleet.stop()
    taken = sum(node.sampler.seq for node in fleet.nodes)
    held = sum(node.spool.spooled for node in fleet.nodes)
    merged = sum(node.spool.merged for node in fleet.nodes)
    lost = sum(node.spool.lost for node in fleet.nodes)
    click.echo(f"routers took {taken} samples; merged {merged}, lost {lost}, not yet acked {held}")


def _cutting(outage: _Outage | None, nodes: "Sequence[Node]") -> Callable[[], None]:
    """Cuts the router's uplink when its time has come."""
    began = time.monotonic()
    left = [(node, *outage[1:]) for node in nodes if outage and node.name == outage[0]]

    def cut() -> None:
        if left and time.monotonic() - began >= left[0][1]:
            node, after_s, length_s, every_s = left.pop()
            node.cut(length_s)
            if every_s:
                left.append((node, after_s + every_s, length_s, every_s))

    return cut


def _meanwhile(cut: Callable[[], None], delivery: "Delivery | None") -> Callable[[], None]:
    def also() -> None:
        cut()
        if delivery is not None:
            delivery.step()

    return also


def _check_simulated(names: Sequence[str], routers: list[Router], option: str) -> None:
    there = [one.name for one in routers]
    for name in set(names) - set(there):
        wrong = f"{name} is not simulated; there are {named(there)}"
        raise click.BadParameter(wrong, param_hint=option)


def _broker(city: Config) -> BrokerFolder:
    if city.broker.directory is None:
        raise BrokerError("broker.directory: is needed, because the routers' passwords lie there")
    made = BrokerFolder.open(city.broker.directory)
    if made.settings.host is not None:
        raise BrokerError(
            f"{made.path}: its routers come with certificates over TLS, and simulated ones have"
            " none; let broker.directory name a broker that was made without --host"
        )
    return made


def _chosen(city: Config, wanted: int | None) -> list[Router]:
    """The routers to simulate; new ones come after those of the file."""
    known = list(city.router)
    missing = max(0, (wanted or 0) - len(known))
    if missing and not city.site:
        raise ConfigError(
            city.file,
            "site",
            f"there is none where {missing} more routers could be",
            "add a [[site]] first",
        )
    names = {one.name for one in known}
    numbers = range(1, len(known) + missing + 1)
    fresh = [name for name in (f"sim-{number:04}" for number in numbers) if name not in names]
    new = [
        Router(name=name, site=city.site[number % len(city.site)].name)
        for number, name in enumerate(fresh[:missing])
    ]
    return [*known, *new][: wanted or len(known)]


def _register(city: Config, made: BrokerFolder, chosen: list[Router]) -> Path:
    """At the broker, and in a file that has them all; the city's own file stays as it is."""
    new = chosen[len(city.router) :]
    there = city.file
    if new:
        there = city.file.with_name(f"{city.file.stem}.simulated{city.file.suffix}")
        edit.add_many(city, new, there)
    made.admit([one.name for one in chosen])
    return there
