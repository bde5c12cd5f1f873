"""What it costs to refuse: a large city at the broker, and honest routers beside an attacker."""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.results import Length, Result
from tests.broker import enrolled
from tests.broker.besieged import Besieged
from tests.broker.raw import SUBACK, packet, text
from tests.broker.running import RunningBroker
from titik_collector.config import edit, model
from titik_collector.config.site_tables import Router

COMMAND = "python -m bench.run --only broker"
SITE = "taman-tirosa"
FLOOD = packet(0x82, b"\0\1\0" + (text("#") + b"\x01") * 4000)


def run(length: Length) -> list[Result]:
    """Every figure of the broker."""
    quick = length == "quick"
    with tempfile.TemporaryDirectory() as folder:
        found = _large(Path(folder), 200 if quick else 5000)
    with tempfile.TemporaryDirectory() as folder:
        return [*found, _beside_a_flood(Path(folder), 3 if quick else 20)]


def _large(folder: Path, routers: int) -> list[Result]:
    """Adding, revoking and restarting where there are many."""
    city = enrolled.made(folder)
    file = folder / "titik.toml"
    new = [Router(name=f"many-{n}", site=SITE) for n in range(routers)]
    edit.add_many(model.load(file), new)
    for one in new:
        city.broker.authority.certify_router(one.name)
    names = [f"more-{n}" for n in range(5)]
    with RunningBroker(city.broker) as broker:
        reported = [_seconds(partial(city.broker.admit, [name])) for name in names]
        added = [
            _seconds(partial(city.says, "router", "add", f"whole-{name}", "--site", SITE))
            for name in names
        ]
        revoked = [
            _seconds(partial(city.says, "router", "revoke", f"whole-{name}")) for name in names
        ]
        again = [_seconds(lambda: _restart(broker)) for _ in range(3)]
    note = f"{routers} routers"
    return [
        Result("one router more, at the broker alone", "s", tuple(reported), "<= 1", COMMAND, note),
        Result("`titik router add`, all of it", "s", tuple(added), None, COMMAND, note),
        Result("`titik router revoke`, all of it", "s", tuple(revoked), None, COMMAND, note),
        Result("a restart of the broker", "s", tuple(again), "<= 10", COMMAND, note),
    ]


def _restart(broker: RunningBroker) -> None:
    broker.stop()
    broker.start()


def _beside_a_flood(folder: Path, rounds: int) -> Result:
    """How much longer an honest ack takes while one key sends all it can subscribe to."""
    with Besieged(folder, honest=2, interval_s=0.1) as besieged:
        before = [_ack_s(besieged) for _ in range(rounds)]
        during = []
        with besieged.thief() as thief:
            assert thief.connect("titik:x") == 0
            for _ in range(rounds):
                thief.send(FLOOD)
                during.append(_ack_s(besieged))
                thief.answer(SUBACK)
    ratio = statistics.median(during) / statistics.median(before)
    note = f"4,000 filters a packet; longest {max(during) * 1000:.0f} ms"
    name = "an honest ack beside a flood of filters, as a multiple of one without"
    return Result(name, "ratio", (ratio,), "<= 3", COMMAND, note)


def _ack_s(besieged: Besieged) -> float:
    """From the next sample that an honest router takes to its ack."""
    node, spool = besieged.nodes[0], besieged.spools[0]
    goal = node.sampler.seq + 1
    _until(lambda: node.sampler.seq >= goal)
    began = time.monotonic()
    _until(lambda: node.sampler.seq - spool.spooled >= goal)
    return time.monotonic() - began


def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.0005)


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
